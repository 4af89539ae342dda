"""Which band applied to each reading of a series. Pure; the core keeps none but the newest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.bands import with_least
from oda.core.detectors.contract import Band, BandDetector, ScoreDetector
from oda.core.kinds import ClosedWindow
from oda.core.rules.rule import Rule, Watch

Column = NDArray[np.float64]


class Trace(NamedTuple):
    """By what its rule calls a detector: the bounds for each reading, of shape (n,).

    NaN where none was judged, and where the direction does not matter.
    """

    watch: str
    low: Column
    high: Column


def traces(
    rule: Rule, offsets: NDArray[np.int64], times: NDArray[np.int64], values: Column, windows: Sequence[ClosedWindow]
) -> Iterator[Trace]:
    """Of each detector that has bands.

    Args:
        rule: of the series.
        offsets: of its readings, of shape (n,), like the next two.
        times: epoch ms.
        values: the numbers.
        windows: that closed, in this order.
    """
    for watch in rule.detectors:
        detector = watch.detector
        if isinstance(detector, ScoreDetector):
            scored = detector.score([detector.State()], np.zeros(len(values), np.intp), values)
            yield _trace(watch, scored.low, scored.high)
        elif isinstance(detector, BandDetector) and rule.window is None:
            rows = zip(offsets.tolist(), times.tolist(), values.tolist(), strict=True)
            each = [ClosedWindow("", time, time, 1, value, 0.0, at, at, at, "data", 0) for at, time, value in rows]
            # A reading is judged before it is learned from.
            yield _trace(watch, *(np.r_[nan, bounds[:-1]] for bounds in _bands(watch, detector, each).T))
        elif isinstance(detector, BandDetector):
            bounds = np.vstack([[nan, nan], _bands(watch, detector, windows)])
            since = np.searchsorted([window.closed_at for window in windows], offsets, side="right")
            yield _trace(watch, *bounds[since].T)


def _bands(watch: Watch, detector: BandDetector[Any, Any], windows: Sequence[ClosedWindow]) -> Column:
    """Low and high from each window on, of shape (n, 2)."""
    state = detector.State()
    bands = [with_least(detector.update(state, window), watch) for window in windows]
    return np.array([_bounds(band) for band in bands]).reshape(-1, 2)


def _bounds(band: Band | None) -> tuple[float, float]:
    return (nan, nan) if band is None else (band.expected - band.below, band.expected + band.above)


def _trace(watch: Watch, low: Column, high: Column) -> Trace:
    nothing = np.full(len(low), nan)
    return Trace(
        watch.name, nothing if watch.direction == "high" else low, nothing if watch.direction == "low" else high
    )
