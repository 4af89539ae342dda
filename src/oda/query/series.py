"""All series at a glance: what is newest of each, in columns, so that 100,000 are searched and sorted in milliseconds.

Bounded: beyond `MOST` series, those that have not been heard of for longest are forgotten. Knows nothing of Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.kinds import Anomaly, ClosedWindow

MOST = 300_000
"""Series that are known; each takes about 400 bytes."""

MINUTE_MS = 60_000

_PARTS, _PART_MS = 6, 10_000
"""A minute's readings are counted in parts, which leave one after the other."""

_KEEP_MS, _MOST_ORDERS = 1_000, 100
"""For how long, and how many, orders are kept."""

SORTS = ("name", "score", "anomaly", "rate")

Sort = Literal["name", "score", "anomaly", "rate"]

_COLUMNS: dict[str, Any] = {
    "partition": np.int32,
    "time": np.int64,  # of the newest reading in the log, epoch ms
    "value": np.float64,
    "heard": np.int64,  # when the broker took it, epoch ms; 0: never, only results are known
    "window": np.int64,  # readings in the newest closed window; 0: none is known
    "late": np.int64,  # late readings before that window closed
    "anomalies": np.int64,
    "anomaly_time": np.int64,
    "score": np.float64,
    "detector": np.int32,
}


class LastAnomaly(NamedTuple):
    """Of a series, the newest in the log; `time` in epoch ms."""

    time: int
    score: float
    detector: str


class Known(NamedTuple):
    """One series; times in epoch ms, `rate` in readings per second of the last minute.

    `last_time` and `last_value` are None of one that only results tell of. `heard` is when its newest reading came, 0
    if none did; `window` how many readings its newest closed window has, 0 if none is known.
    """

    name: str
    partition: int
    last_time: int | None
    last_value: float | None
    rate: float
    anomalies: int
    last_anomaly: LastAnomaly | None
    heard: int
    window: int


class SeriesTable:
    """What is newest of each series.

    Args:
        most: series that are kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._names: list[str] = []
        self._rows: dict[str, int] = {}
        self._detectors: list[str] = []
        self._columns = {name: np.zeros(1024, kind) for name, kind in _COLUMNS.items()}
        self._counts = np.zeros((_PARTS, 1024), np.int32)
        self._part = 0
        self._by_name: list[str] = []
        self._rows_by_name = np.zeros(0, np.intp)
        self._orders: dict[tuple[str, Sort, bool], NDArray[np.intp]] = {}
        self._ordered_at = 0

    def __len__(self) -> int:
        return len(self._names)

    # -- what is heard --------------------------------------------------------------------------

    def take_readings(self, partition: int, readings: Readings, heard: int, now: int) -> None:
        """Take note of readings of one partition, in the order of the log.

        Args:
            partition: theirs.
            readings: at least one.
            heard: when the broker took the last of them, epoch ms.
            now: epoch ms, as `heard` counts.
        """
        rows = self._rows_of(readings.names)
        each = rows[readings.series]
        columns = self._columns
        # Of a row that is there several times the last one stays.
        columns["time"][each] = readings.times
        columns["value"][each] = readings.values
        columns["heard"][each] = heard
        columns["partition"][each] = partition
        self._turn(now)
        part = min(heard, now) // _PART_MS
        if part > self._part - _PARTS:
            counts = np.bincount(readings.series, minlength=len(readings.names))
            self._counts[part % _PARTS, rows] += counts.astype(np.int32)

    def take_window(self, partition: int, window: ClosedWindow) -> None:
        """Take note of a window that has closed."""
        row = self._row(window.series, partition)
        self._columns["window"][row] = window.count
        self._columns["late"][row] = window.late

    def take_anomaly(self, partition: int, anomaly: Anomaly) -> None:
        """Take note of an anomaly."""
        row, columns = self._row(anomaly.series, partition), self._columns
        columns["anomalies"][row] += 1
        columns["anomaly_time"][row] = anomaly.time
        columns["score"][row] = anomaly.score
        if anomaly.detector not in self._detectors:
            self._detectors.append(anomaly.detector)
        columns["detector"][row] = self._detectors.index(anomaly.detector)

    # -- what is asked --------------------------------------------------------------------------

    def page(
        self, search: str, sort: Sort, descending: bool, offset: int, limit: int, now: int
    ) -> tuple[int, list[Known]]:
        """Some of the series whose names contain a text, in order, and how many there are in all.

        Args:
            search: a part of the names, whatever its case; empty for all. The series that is called so comes first.
            sort: by name, by the newest anomaly's score or time, or by rate.
            descending: the largest first; of equal ones by name.
            offset, limit: which of them.
            now: epoch ms.
        """
        found = self._found(search, sort, descending, now)
        exact = self._rows.get(search)
        if exact is not None:  # whoever names a series means it
            found = np.concatenate([[exact], found[found != exact]])
        return len(found), [self._known(row, now) for row in found[offset : offset + limit].tolist()]

    def names(self) -> list[str]:
        """Of all series, sorted."""
        self._search("")
        return self._by_name

    def get(self, name: str, now: int) -> Known | None:
        """One series; None if it is not known."""
        row = self._rows.get(name)
        return None if row is None else self._known(row, now)

    def rate(self, now: int) -> float:
        """Of all, readings per second of the last minute."""
        self._turn(now)
        return float(self._counts.sum()) / (MINUTE_MS / 1000)

    def late(self) -> dict[int, int]:
        """How many readings of the known series were late, by partition, since each series began."""
        there = len(self._names)
        partitions, late = self._columns["partition"][:there], self._columns["late"][:there]
        return {number: int(late[partitions == number].sum()) for number in np.unique(partitions).tolist()}

    def _found(self, search: str, sort: Sort, descending: bool, now: int) -> NDArray[np.intp]:
        """Rows in order; of a second ago, if they were asked for then: many viewers ask the same."""
        if now >= self._ordered_at + _KEEP_MS or now < self._ordered_at or len(self._orders) >= _MOST_ORDERS:
            self._orders, self._ordered_at = {}, now
        key = search, sort, descending
        if key not in self._orders:
            self._orders[key] = self._ordered(self._search(search), sort, descending, now)
        return self._orders[key]

    def _search(self, search: str) -> NDArray[np.intp]:
        """Rows of the series whose names contain a text, by name."""
        if len(self._by_name) < len(self._names):
            # What is sorted already costs a sort next to nothing.
            self._by_name = sorted(self._by_name + self._names[len(self._by_name) :])
            self._rows_by_name = np.array([self._rows[name] for name in self._by_name], np.intp)
        if not search:
            return self._rows_by_name
        wanted = search.casefold()
        return self._rows_by_name[[wanted in name.casefold() for name in self._by_name]]

    def _ordered(self, found: NDArray[np.intp], sort: Sort, descending: bool, now: int) -> NDArray[np.intp]:
        if sort == "name":
            return found[::-1] if descending else found
        self._turn(now)
        column = {
            "score": np.where(self._columns["anomalies"] > 0, self._columns["score"], -1.0),
            "anomaly": self._columns["anomaly_time"],
            "rate": self._counts.sum(axis=0),
        }[sort][found]
        return found[np.argsort(-column if descending else column, kind="stable")]

    def _turn(self, now: int) -> None:
        """Forget what was counted more than a minute ago."""
        part = now // _PART_MS
        for old in range(max(self._part + 1, part - _PARTS + 1), part + 1):
            self._counts[old % _PARTS] = 0
        self._part = max(self._part, part)

    def _known(self, row: int, now: int) -> Known:
        self._turn(now)
        values = {name: column[row].item() for name, column in self._columns.items()}
        is_heard = bool(values["heard"])
        last = None
        if values["anomalies"]:
            last = LastAnomaly(values["anomaly_time"], values["score"], self._detectors[values["detector"]])
        return Known(
            self._names[row],
            values["partition"],
            values["time"] if is_heard else None,
            values["value"] if is_heard else None,
            round(int(self._counts[:, row].sum()) / (MINUTE_MS / 1000), 3),
            values["anomalies"],
            last,
            values["heard"],
            values["window"],
        )

    # -- rows -----------------------------------------------------------------------------------

    def _row(self, name: str, partition: int) -> int:
        row = self._rows.get(name)
        if row is None:
            row = int(self._rows_of([name])[0])
            self._columns["partition"][row] = partition
        return row

    def _rows_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """The row of each name; new ones get one."""
        rows = [self._rows.get(name, -1) for name in names]
        if -1 in rows:
            self._make_room(len(names))
            for name in names:
                if name not in self._rows:
                    self._rows[name] = len(self._names)
                    self._names.append(name)
            rows = [self._rows[name] for name in names]
        return np.array(rows, np.intp)

    def _make_room(self, more: int) -> None:
        if len(self._names) + more > self.most:
            self._forget(len(self._names) // 4)
        size = self._counts.shape[1]
        if len(self._names) + more > size:
            size = 2 * (len(self._names) + more)
            self._columns = {name: _widened(column, size) for name, column in self._columns.items()}
            self._counts = _widened(self._counts, size)

    def _forget(self, count: int) -> None:
        """Those that have not been heard of for longest."""
        there = len(self._names)
        keep = np.sort(np.argsort(self._columns["heard"][:there], kind="stable")[count:])
        size = self._counts.shape[1]
        self._columns = {name: _widened(column[keep], size) for name, column in self._columns.items()}
        self._counts = _widened(self._counts[:, keep], size)
        self._names = [self._names[row] for row in keep.tolist()]
        self._rows = {name: row for row, name in enumerate(self._names)}
        self._by_name, self._orders = [], {}


def _widened(columns: NDArray[Any], size: int) -> NDArray[Any]:
    """With zeros behind."""
    more = np.zeros((*columns.shape[:-1], size - columns.shape[-1]), columns.dtype)
    return np.concatenate([columns, more], axis=-1)
