"""False alarms: what detectors make of noise, in which there is nothing, against what their thresholds promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.detectors.contract import Band, BandDetector, Detector, ScoreDetector, WindowDetector
from oda.core.detectors.tail import tail
from oda.core.kinds import ClosedWindow

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

NOISE: dict[str, Draw] = {
    "normal": lambda random, size: random.normal(size=size),
    "t, 3 degrees of freedom": lambda random, size: random.standard_t(3, size),
    "log-normal": lambda random, size: random.lognormal(size=size),
}

_AT_ONCE = 1_000_000
"""Readings that are drawn at once."""
_SERIES = 100
"""Among which readings that are scored are divided."""


class Rate(NamedTuple):
    """How many readings, or windows, were judged, and how many were found to be anomalies."""

    judged: int
    found: int

    def __str__(self) -> str:
        return f"{self.found / max(self.judged, 1):.2e}"


def promised(detector: Detector[Any, Any]) -> float | None:
    """The rate that a detector's threshold promises; None if it promises none."""
    sigmas = getattr(detector.parameters, "sigmas", None)
    return None if sigmas is None else tail(sigmas)


def measure(detector: Detector[Any, Any], draw: Draw, readings: int, size: int, seed: int = 1) -> Rate:
    """One series of noise, `size` readings a window, or some series for a detector that scores readings."""
    random = np.random.default_rng(seed)
    if isinstance(detector, ScoreDetector):
        return _scored(detector, draw, readings, random)
    judged = found = 0
    for some_judged, some_found in _by_windows(detector, draw, readings, size, random):
        judged, found = judged + some_judged, found + some_found
    return Rate(judged, found)


def _scored(detector: ScoreDetector[Any, Any], draw: Draw, readings: int, random: np.random.Generator) -> Rate:
    states = [detector.State() for _ in range(_SERIES)]
    found = 0
    for size in _parts(readings):
        scored = detector.score(states, np.arange(size) % _SERIES, draw(random, size))
        found += int(scored.alarms.sum())
    return Rate(readings, found)


def _by_windows(
    detector: Detector[Any, Any], draw: Draw, readings: int, size: int, random: np.random.Generator
) -> Iterator[Rate]:
    state, start = detector.State(), 0
    band = None
    for some in _parts(readings):
        values = draw(random, some // size * size).reshape(-1, size)
        bands: list[Band | None] = []
        found = 0
        counts = np.full(len(values), size) if isinstance(detector, BandDetector) else random.poisson(size, len(values))
        for count, mean, stddev in zip(counts.tolist(), *_moments(values), strict=True):
            window = ClosedWindow("noise", start, start + 1, count, mean, stddev, 0, 0, 0, "data", 0)
            start += 1
            if isinstance(detector, BandDetector):
                bands.append(band)
                band = detector.update(state, window)
            elif isinstance(detector, WindowDetector):
                found += detector.check(state, window) is not None
        if isinstance(detector, BandDetector):
            known = [at for at, one in enumerate(bands) if one]
            expected, below, above = (np.array([bands[at][of] for at in known])[:, None] for of in (0, 2, 3))  # type: ignore[index]
            distance = values[known] - expected
            yield Rate(distance.size, int(((distance > above) | (-distance > below)).sum()))
        else:
            yield Rate(len(values), found)


def _moments(values: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    return values.mean(axis=1).tolist(), values.std(axis=1).tolist()


def _parts(readings: int) -> Iterator[int]:
    while readings > 0:
        yield min(readings, _AT_ONCE)
        readings -= _AT_ONCE
