"""What detectors cost: time for a reading, and room for a series."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from oda.core.detectors.contract import Band, BandDetector, Detector, ScoreDetector, WindowDetector
from oda.core.kinds import ClosedWindow

_BATCH = 12_000
"""Readings, as the topology's batches have at most."""


class Cost(NamedTuple):
    """Microseconds of CPU for a reading, with the judgement of it, and bytes of a series' state in a snapshot."""

    microseconds: float
    state: int


_ROUNDS = 3


def measure(detector: Detector[Any, Any], series: int, readings: int, size: int) -> Cost:
    """Readings of noise, of each series in turn, `size` in a window; the best of some rounds."""
    return min(_measure(detector, series, readings, size) for _ in range(_ROUNDS))


def _measure(detector: Detector[Any, Any], series: int, readings: int, size: int) -> Cost:
    states = [detector.State() for _ in range(series)]
    random = np.random.default_rng(1)
    values = random.normal(size=(readings // series // size * size, series))
    began = time.process_time()
    if isinstance(detector, ScoreDetector):
        flat, which = values.ravel(), np.arange(values.size) % series
        for first in range(0, len(flat), _BATCH):
            detector.score(states, which[first : first + _BATCH], flat[first : first + _BATCH])
    else:
        windows = list(_windows(values, size))
        began = time.process_time()
        _by_windows(detector, states, windows, values, size)
    spent = time.process_time() - began
    return Cost(spent / values.size * 1e6, round(sum(len(msgspec.msgpack.encode(state)) for state in states) / series))


def _windows(values: np.ndarray[Any, Any], size: int) -> Iterator[list[ClosedWindow]]:
    """Of all series, window by window."""
    for start in range(0, len(values), size):
        of = values[start : start + size]
        moments = zip(of.mean(axis=0).tolist(), of.std(axis=0).tolist(), strict=True)
        yield [ClosedWindow("s", start, start + size, size, *both, 0, 0, 0, "data", 0) for both in moments]


def _by_windows(
    detector: Detector[Any, Any], states: list[Any], windows: list[list[ClosedWindow]], values: Any, size: int
) -> None:
    for at, closed in enumerate(windows):
        if isinstance(detector, WindowDetector):
            for state, window in zip(states, closed, strict=True):
                detector.check(state, window)
        elif isinstance(detector, BandDetector):
            bands = [detector.update(state, window) for state, window in zip(states, closed, strict=True)]
            _judge([band or _ALL for band in bands], values[(at + 1) * size : (at + 2) * size])


_ALL = Band(0.0, 1.0, np.inf, np.inf, np.inf)


def _judge(bands: list[Band], values: Any) -> Any:
    """The readings after a window, of all series at once."""
    expected, _, below, above, _ = np.array(bands).T
    distance = values - expected
    return np.flatnonzero((distance > above) | (-distance > below))
