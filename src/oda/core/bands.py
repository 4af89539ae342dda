"""The judgement of readings by bands: what lies outside of the one that applies to it is an anomaly.

All readings of a part of the log are compared at once, as columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.detectors.contract import Band
from oda.core.detectors.tail import score_of
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.rules.rule import Rule, Watch

Detected = tuple[Watch, Anomaly]
"""An anomaly, and what found it."""

Column = NDArray[np.float64]


class Now(NamedTuple):
    """What applies to the readings of a series: the newest closed window, and a band for each of its rule's watches."""

    rule: Rule
    window: ClosedWindow | None
    bands: list[Band | None]


class Change(NamedTuple):
    """From an offset on something else applies to a series."""

    series: str
    since: int
    now: Now


class Table:
    """What applies to each series now.

    Its columns have a place for each series, of which 0 is nobody's, and allows anything.
    """

    def __init__(self) -> None:
        self.now: dict[str, Now] = {}
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self._columns = [_anything(1)]  # by watch: shape (3, places): expected, below, above

    def places(self, names: Iterable[str]) -> NDArray[np.intp]:
        """Of series, in the columns."""
        get = self._places.get
        return np.array([get(name, 0) for name in names], np.intp)

    def columns(self) -> list[Column]:
        """By watch: shape (3, places): what is expected, how much below, how much above it is allowed."""
        return self._columns

    def write(self, names: Sequence[str], now: Sequence[Now], columns: Sequence[Column]) -> None:
        """Replace what applies to some series; of one that is named several times the last one counts.

        Args:
            names: of series.
            now: what applies to each.
            columns: the same, as `columns_of` makes them.
        """
        self.now.update(zip(names, now, strict=True))
        for name in set(names).difference(self._places):
            self._places[name] = self._free.pop() if self._free else len(self._places) + 1
        self._grow(len(columns), len(self._places) + len(self._free) + 1)
        places = self.places(names)
        for slot, of_watch in enumerate(self._columns):
            of_watch[:, places] = columns[slot] if slot < len(columns) else _anything(1)

    def forget(self, series: str) -> None:
        """There is no such series any more."""
        if self.now.pop(series, None) is not None:
            self._free.append(self._places.pop(series))

    def _grow(self, watches: int, places: int) -> None:
        size = self._columns[0].shape[1]
        if places > size:
            self._columns = [np.hstack([columns, _anything(2 * places - size)]) for columns in self._columns]
        while len(self._columns) < watches:
            self._columns.append(_anything(self._columns[0].shape[1]))


def columns_of(now: Sequence[Now]) -> list[Column]:
    """By watch: shape (3, n), what is expected, how much below, how much above it is allowed."""
    watches = max((len(one.bands) for one in now), default=0)
    return [np.array([_allowed(one, slot) for one in now]).T for slot in range(watches)]


def _allowed(now: Now, slot: int) -> tuple[float, float, float]:
    band = now.bands[slot] if slot < len(now.bands) else None
    if band is None:
        return 0.0, inf, inf
    direction = now.rule.detectors[slot].direction
    return band.expected, inf if direction == "high" else band.below, inf if direction == "low" else band.above


def _anything(places: int) -> Column:
    return np.array([[0.0], [inf], [inf]]).repeat(places, axis=1)


def judge(
    readings: Readings,
    before: Mapping[str, Now],
    columns: Sequence[Column],
    changes: Sequence[Change],
    newer: Sequence[Column],
    version: int,
) -> Iterator[Detected]:
    """The anomalies among readings, by watch and in the order of the log.

    Args:
        readings: in the order of the log.
        before: what applied at their beginning.
        columns: the same, by watch, as columns: shape (3, names of the readings).
        changes: what applies from somewhere on; those of a series in the order in which they take each other's place.
        newer: the same, as `columns_of` makes them.
        version: of the rules.
    """
    if not len(readings.offsets):
        return
    which, is_changed = _match(readings, changes)
    for slot in range(max(len(columns), len(newer))):
        expected, below, above = (columns[slot] if slot < len(columns) else _anything(len(readings.names)))[
            :, readings.series
        ]
        if changes:
            of_changes = newer[slot] if slot < len(newer) else _anything(len(changes))
            expected = np.where(is_changed, of_changes[0][which], expected)
            below = np.where(is_changed, of_changes[1][which], below)
            above = np.where(is_changed, of_changes[2][which], above)
        distance = readings.values - expected
        for at in np.flatnonzero((distance > above) | (-distance > below)).tolist():
            name = readings.names[readings.series[at]]
            now = changes[which[at]].now if is_changed[at] else before[name]
            band, watch = now.bands[slot], now.rule.detectors[slot]
            assert band is not None
            time, offset, value = (column[at].item() for column in (readings.times, readings.offsets, readings.values))
            yield watch, anomaly(name, time, offset, value, band, now.window, watch, version)


def _match(readings: Readings, changes: Sequence[Change]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each reading the index of the newest change before it, and whether there is any."""
    if not changes:
        return np.zeros(len(readings.offsets), np.intp), np.zeros(len(readings.offsets), np.bool_)
    codes = {name: code for code, name in enumerate(readings.names)}
    nobody = len(codes)  # a series without readings here
    series = np.array([codes.get(change.series, nobody) for change in changes], np.int64)
    since = np.array([change.since for change in changes], np.int64)
    # One number for (series, offset): offsets count from the first, to leave room.
    first = min(int(readings.offsets[0]), int(since.min()))
    span = max(int(readings.offsets[-1]), int(since.max())) - first + 1
    keys = series * span + (since - first)
    order = np.argsort(keys, kind="stable")  # of equal ones the last counts
    place = readings.series.astype(np.int64) * span + (readings.offsets - first)
    found = np.searchsorted(keys[order], place, side="right") - 1
    which = order[found]
    return which, (found >= 0) & (series[which] == readings.series)


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
        *about(window),
        watch.name,
        score,
        band.expected,
        band.expected - band.below,
        band.expected + band.above,
        offset,
        version,
    )


def about(window: ClosedWindow | None) -> tuple[float, float, int, int]:
    """What an anomaly's row says of the newest closed window: mean, stddev, count, start; zeros if there is none."""
    return (0.0, 0.0, 0, 0) if window is None else (window.mean, window.stddev, window.count, window.start)


def with_least(band: Band | None, watch: Watch) -> Band | None:
    """A band that lets pass what does not matter."""
    if band is None or not watch.has_least:
        return band
    least = max(watch.least_absolute, watch.least_relative * abs(band.expected))
    return band._replace(below=max(band.below, least), above=max(band.above, least))
