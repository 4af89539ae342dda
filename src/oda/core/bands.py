"""The judgement of readings by bands: what lies outside of the one that applies to it is an anomaly.

All readings of a part of the log are compared at once; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.detectors.contract import Band
from oda.core.detectors.tail import score_of
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.rules.rule import Watch


class Applied(NamedTuple):
    """A band that applies to the readings of a series from one offset on; none is judged where it is None.

    Attributes:
        series: index into the readings' names.
        window: the newest closed window of the series then; None if there is none.
    """

    series: int
    since: int
    band: Band | None
    window: ClosedWindow | None
    watch: Watch


Detected = tuple[Watch, Anomaly]
"""An anomaly, and what found it."""


def judge(readings: Readings, applied: Sequence[Applied], version: int) -> Iterator[Detected]:
    """The anomalies, in the order of the log.

    Args:
        readings: in the order of the log.
        applied: by ascending series; those of a series in the order in which they take each other's place.
        version: of the rules.
    """
    if not len(readings.offsets) or not applied:
        return
    which, found = _match(readings, applied)
    expected = np.array([one.band.expected if one.band else 0.0 for one in applied])[which]
    above = np.array([_allowed(one, "low", one.band.above if one.band else inf) for one in applied])[which]
    below = np.array([_allowed(one, "high", one.band.below if one.band else inf) for one in applied])[which]
    distance = readings.values - expected
    for at in np.flatnonzero(found & ((distance > above) | (-distance > below))).tolist():
        one = applied[which[at]]
        time, offset, value = (column[at].item() for column in (readings.times, readings.offsets, readings.values))
        assert one.band is not None
        name = readings.names[one.series]
        yield one.watch, anomaly(name, time, offset, value, one.band, one.window, one.watch, version)


def anomaly(
    series: str,
    time: int,
    offset: int,
    value: float,
    band: Band,
    window: ClosedWindow | None,
    watch: Watch,
    version: int,
) -> Anomaly:
    """The row of a reading outside its band."""
    distance = value - band.expected
    score = score_of(distance / band.scale, band.freedom) if band.scale > 0 else 100.0
    return Anomaly(
        series,
        time,
        offset,
        value,
        *of_window(window),
        watch.name,
        score,
        band.expected,
        band.expected - band.below,
        band.expected + band.above,
        offset,
        version,
    )


def of_window(window: ClosedWindow | None) -> tuple[float, float, int, int]:
    """What an anomaly's row says of the newest closed window: mean, stddev, count, start; zeros if there is none."""
    return (0.0, 0.0, 0, 0) if window is None else (window.mean, window.stddev, window.count, window.start)


def with_least(band: Band | None, watch: Watch) -> Band | None:
    """A band that lets pass what does not matter."""
    if band is None or not (watch.least_absolute or watch.least_relative):
        return band
    least = max(watch.least_absolute, watch.least_relative * abs(band.expected))
    return band._replace(below=max(band.below, least), above=max(band.above, least))


def _allowed(one: Applied, direction: str, allowed: float) -> float:
    return inf if one.watch.direction == direction else allowed


def _match(readings: Readings, applied: Sequence[Applied]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each reading the index of what applies to it, and whether there is any."""
    series = np.array([one.series for one in applied], np.int64)
    begin = np.array([one.since for one in applied], np.int64)
    # One sorted number for (series, offset): offsets count from the first, to leave room.
    first = min(int(readings.offsets[0]), int(begin.min()))
    span = max(int(readings.offsets[-1]), int(begin.max())) - first + 1
    place = readings.series.astype(np.int64) * span + (readings.offsets - first)
    which = np.searchsorted(series * span + (begin - first), place, side="right") - 1
    return which, (which >= 0) & (series[which] == readings.series)
