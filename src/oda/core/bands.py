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
from oda.core.detectors.contract import ANYTHING, NOTHING, Band, BandDetector
from oda.core.detectors.tail import score_of
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.rules.rule import Rule, Watch

Detected = tuple[Watch, Anomaly]
"""An anomaly, and what found it."""

Column = NDArray[np.float64]


class Now(NamedTuple):
    """What applies to the readings of a series from an offset on.

    Attributes:
        window: the newest closed one.
        bands: one for each watch of the rule; None if they follow from the window (`Rule.follows_window`): few are ever
            asked for.
    """

    series: str
    since: int
    rule: Rule
    window: ClosedWindow | None
    bands: list[Band | None] | None

    def band(self, slot: int) -> Band | None:
        """That of one of the rule's watches."""
        if self.bands is not None:
            return self.bands[slot]
        if self.window is None:
            return None
        watch = self.rule.detectors[slot]
        assert isinstance(watch.detector, BandDetector)
        return with_least(watch.detector.update(NOTHING, self.window), watch)


class Table:
    """What applies to each series now.

    Its columns have a place for each series; place 0 is no series', and allows anything.
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

    def write(self, now: Sequence[Now], columns: Sequence[Column]) -> None:
        """Replace what applies to some series; of one that is named several times the last one counts.

        Args:
            now: what applies to them.
            columns: the same, as `columns_of` makes them.
        """
        names = [one.series for one in now]
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
    rules = {id(one.rule): one.rule for one in now}
    watches = max((len(rule.detectors) for rule in rules.values()), default=0)
    columns = [_anything(1).repeat(len(now), axis=1) for _ in range(watches)]
    for key, rule in rules.items():
        at = [number for number, one in enumerate(now) if id(one.rule) == key] if len(rules) > 1 else slice(None)
        own = now if isinstance(at, slice) else [now[number] for number in at]
        windows = [one.window for one in own if one.bands is None and one.window is not None]
        for slot, watch in enumerate(rule.detectors):
            if len(windows) == len(own):
                assert isinstance(watch.detector, BandDetector)
                allowed = watch.detector.allowed(windows)
                _allow_least(allowed, watch)
            else:
                allowed = np.array([_allowed(one.band(slot)) for one in own]).T
            if watch.direction == "high":
                allowed[1] = inf
            elif watch.direction == "low":
                allowed[2] = inf
            columns[slot][:, at] = allowed
    return columns


def _allowed(band: Band | None) -> tuple[float, float, float]:
    return ANYTHING if band is None else (band.expected, band.below, band.above)


def _allow_least(allowed: Column, watch: Watch) -> None:
    """What `with_least` does, for columns."""
    if watch.has_least:
        least = np.maximum(watch.least_absolute, watch.least_relative * np.abs(allowed[0]))
        np.maximum(allowed[1:], least, out=allowed[1:])


def _anything(places: int) -> Column:
    return np.array([ANYTHING]).T.repeat(places, axis=1)


def judge(
    readings: Readings,
    before: Mapping[str, Now],
    columns: Sequence[Column],
    changes: Sequence[Now],
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
        found = np.flatnonzero((distance > above) | (-distance > below))
        columns_found = (readings.series, which, is_changed, readings.times, readings.offsets, readings.values)
        rows = zip(*(column[found].tolist() for column in columns_found), strict=True)
        for code, change, is_new, time, offset, value in rows:
            now = changes[change] if is_new else before[readings.names[code]]
            band = now.band(slot)
            assert band is not None
            watch = now.rule.detectors[slot]
            yield watch, anomaly(readings.names[code], time, offset, value, band, now.window, watch, version)


def _match(readings: Readings, changes: Sequence[Now]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
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
    """A band that lets pass deviations that do not matter to a watch."""
    if band is None or not watch.has_least:
        return band
    least = watch.least(band.expected)
    return band._replace(below=max(band.below, least), above=max(band.above, least))
