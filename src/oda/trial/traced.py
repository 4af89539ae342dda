"""Which band applied to each reading of a series. Pure; the core keeps none but the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.bands import with_least
from oda.core.batch import Readings
from oda.core.detectors.contract import Band, BandDetector, ScoreDetector
from oda.core.kinds import ClosedWindow
from oda.core.rules.rule import Rule, Watch

Column = NDArray[np.float64]

_NONE = [nan, nan]
"""Bounds where none is judged."""


class Trace(NamedTuple):
    """By what its rule calls a detector: the bounds for each reading, of shape (n,).

    NaN where none was judged, and where the direction does not matter.
    """

    watch: str
    low: Column
    high: Column


class Series(NamedTuple):
    """All of one: its rule, its readings in the order of the file, and the windows that closed, in this order."""

    rule: Rule
    readings: Readings
    windows: Sequence[ClosedWindow]


def traces(series: Mapping[str, Series]) -> dict[str, list[Trace]]:
    """By series, those of its detectors that judge readings."""
    found: dict[str, list[Trace]] = {name: [] for name in series}
    by_detector: dict[ScoreDetector[Any, Any], list[tuple[str, Watch]]] = {}
    for name, one in series.items():
        for watch in one.rule.detectors:
            detector = watch.detector
            if isinstance(detector, ScoreDetector):
                by_detector.setdefault(detector, []).append((name, watch))
            elif isinstance(detector, BandDetector):
                learn = _of_each if one.rule.window is None else _of_windows
                found[name].append(_trace(watch, *learn(watch, detector, one).T))
    # One that scores takes hardly longer for many series than for one.
    for detector, watches in by_detector.items():
        values = [series[name].readings.values for name, _ in watches]
        which = np.repeat(np.arange(len(values)), [len(some) for some in values])
        scored = detector.score([detector.State() for _ in values], which, np.concatenate(values))
        for number, (name, watch) in enumerate(watches):
            found[name].append(_trace(watch, scored.low[which == number], scored.high[which == number]))
    return found


def _of_each(watch: Watch, detector: BandDetector[Any, Any], series: Series) -> Column:
    """Each reading is a window; it is judged before it is learned from."""
    offsets, times, values = (column.tolist() for column in series.readings[2:])
    rows = zip(offsets, times, values, strict=True)
    windows = [ClosedWindow("", time, time, 1, value, 0.0, at, at, at, "data", 0) for at, time, value in rows]
    return np.vstack([_NONE, _bands(watch, detector, windows)[:-1]])


def _of_windows(watch: Watch, detector: BandDetector[Any, Any], series: Series) -> Column:
    bounds = np.vstack([_NONE, _bands(watch, detector, series.windows)])
    closed = np.array([window.closed_at for window in series.windows], np.int64)
    applied: Column = bounds[np.searchsorted(closed, series.readings.offsets, side="right")]
    return applied


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
