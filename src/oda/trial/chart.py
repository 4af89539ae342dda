"""What a chart of a series shows: few enough points for a screen, with the highest and lowest of each pixel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oda.core.detectors.contract import BandDetector, WindowDetector
from oda.core.kinds import Anomaly, Incident
from oda.shown import plain
from oda.trial.traced import Series, Trace

_PIXELS = 1500
"""Parts of the time, of each of which two readings are shown; more than a chart is wide, to have some when zoomed."""

_MOST_MARKS = 2000
"""Anomalies of one series that are drawn, those with the highest scores."""

Column = NDArray[np.float64]


def chart(
    name: str, series: Series, found: Sequence[Trace], anomalies: Sequence[Anomaly], incidents: Sequence[Incident]
) -> dict[str, Any]:
    """One series, as values for JSON, with its anomalies and incidents."""
    rule, readings = series.rule, series.readings
    order = np.argsort(readings.times, kind="stable")
    times, values = readings.times[order], readings.values[order]
    found = [Trace(one.watch, one.low[order], one.high[order]) for one in found]
    at, starts = _points(times, values)
    of_windows = {watch.name for watch in rule.detectors if isinstance(watch.detector, WindowDetector)}
    of_bands = {watch.name for watch in rule.detectors if isinstance(watch.detector, BandDetector)}
    size = rule.window.size_ms if rule.window else 0
    worst = sorted(anomalies, key=lambda one: one.score, reverse=True)[:_MOST_MARKS]
    all_or_not = "" if starts is None else ", of which each pixel's highest and lowest are drawn"
    return {
        "name": plain(name),
        "note": f"{len(times):,} readings{all_or_not}",
        "start": int(times[0]),
        "times": np.diff(times[at], prepend=times[:1]).tolist(),
        "values": _numbers(values[at]),
        "bands": [
            {
                "name": plain(one.watch),
                "is_band": one.watch in of_bands,
                "low": _numbers(_extreme(one.low, starts, np.fmin)),
                "high": _numbers(_extreme(one.high, starts, np.fmax)),
            }
            for one in found
        ],
        "anomalies": [_mark(one, size if one.detector in of_windows else 0) for one in worst],
        "incidents": [{"from": one.time, "to": one.last_time} for one in incidents],
    }


def _points(times: NDArray[np.int64], values: Column) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
    """Indexes of the readings that are drawn, and of the first one of each pixel; None if all are drawn."""
    if len(times) <= 2 * _PIXELS:
        return np.arange(len(times)), None
    pixel = (times - times[0]) * _PIXELS // (int(times[-1] - times[0]) + 1)
    starts = np.flatnonzero(np.r_[True, pixel[1:] != pixel[:-1]])
    ends = np.r_[starts[1:], len(times)]
    pairs = [
        sorted((start + int(values[start:end].argmin()), start + int(values[start:end].argmax())))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return np.array(pairs).ravel(), starts


def _extreme(bounds: Column, starts: NDArray[np.intp] | None, which: np.ufunc) -> Column:
    """For each point that is drawn the widest bound of its pixel."""
    return bounds if starts is None else np.repeat(which.reduceat(bounds, starts), 2)


def _numbers(column: Column) -> list[float | None]:
    """As a screen can show them; None where there is none."""
    return [float(f"{value:.7g}") if isfinite(value) else None for value in column.tolist()]


def _mark(anomaly: Anomaly, size: int) -> dict[str, Any]:
    mark: dict[str, Any] = {
        "time": anomaly.time,
        "value": anomaly.value,
        "score": anomaly.score,
        "detector": plain(anomaly.detector),
    }
    return mark | ({"until": anomaly.time + size} if size else {})
