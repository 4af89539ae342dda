"""The scoring of the Numenta Anomaly Benchmark, by its published description.

Lavin, Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", ICMLA 2015
(arXiv:1510.03336). Each labelled window counts once, by its earliest detection: 1 at its beginning, less the later,
`-false_negative` without one. Each detection outside costs up to `false_positive`, less shortly after a window. The
beginning of a file, in which detectors learn, does not count. 0 is what no detection at all gets, 100 the perfect
detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Profile(NamedTuple):
    """What errors cost, where a window found at once is worth 1."""

    false_positive: float
    false_negative: float


PROFILES = {
    "standard": Profile(0.11, 1.0),
    "low FP": Profile(0.22, 1.0),
    "low FN": Profile(0.11, 2.0),
}


class Labelled(NamedTuple):
    """A file: its detections, shape (n,), and the first and last row of each of its windows, in order."""

    detections: NDArray[np.bool_]
    windows: Sequence[tuple[int, int]]


_LEARNING = 0.15
"""Of a file's rows, or of 5000 rows, if that is less."""


def learning(rows: int) -> float:
    """Rows at the beginning of a file that do not count.

    >>> learning(1000), learning(20_000)
    (150, 750.0)
    """
    return min(floor(_LEARNING * rows), _LEARNING * 5000)


def normalised(files: Iterable[Labelled], profile: Profile) -> float:
    """The score of all files together, 100 at most."""
    total = nothing = perfect = 0.0
    for file in files:
        total += score(file, profile)
        nothing += score(Labelled(np.zeros_like(file.detections), file.windows), profile)
        perfect += len(file.windows)
    return 100 * (total - nothing) / (perfect - nothing)


def score(file: Labelled, profile: Profile) -> float:
    """The score of one file, not normalised."""
    begin = learning(len(file.detections))
    detected = [at for at in np.flatnonzero(file.detections).tolist() if at >= begin]
    total = 0.0
    outside = set(detected)
    for first, last in file.windows:
        inside = [at for at in detected if first <= at <= last]
        outside.difference_update(inside)
        if inside:
            total += _worth((inside[0] - last - 1) / (last - first + 1)) / _worth(-1.0)
        elif last >= begin:
            total -= profile.false_negative
    return total + profile.false_positive * sum(_cost(at, file.windows) for at in outside)


def _cost(at: int, windows: Sequence[tuple[int, int]]) -> float:
    """Of a detection outside of all windows, -1 to 0."""
    before = [(first, last) for first, last in windows if last < at]
    if not before:
        return -1.0
    first, last = before[-1]
    return _worth((at - last) / (last - first))


def _worth(position: float) -> float:
    """By the distance from a window's end, in lengths of the window: nearly 1 at its beginning (-1), 0 at its end."""
    return 2 / (1 + exp(5 * position)) - 1 if position <= 3 else -1.0
