"""Which members moved a group's reading most: each held against its own share in the windows before. Pure.

How much a member moved it is how much less the reading were had the member done as before: as often there, with as many
readings, of the same mean and deviation, as often anomalous. That holds for every aggregate alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import inf, sqrt
from typing import NamedTuple

from oda.core.groups.aggregates import Row, value_of
from oda.core.groups.definition import Definition
from oda.core.groups.told import NO_TIME, Members, Told

WINDOWS_BEFORE = 8

_MOST_ROWS = 2_000_000
"""Are merged to find how much members moved it: in a large group those are tried whose own windows changed most."""

_FEWEST = 20


class Moved(NamedTuple):
    """A member: by how much it moved the reading, its windows now, and before: none if it is not there."""

    series: str
    by: float
    now: Sequence[Row]
    before: Sequence[Row]


class Gathering:
    """The members of a group's window, and of those before it, out of the log of members.

    It may begin anywhere before them. So of partitions that are quiet nothing may be heard, and those are not waited
    for long. Then who came too late is told from the others by what the reading is: it was made without them.

    Args:
        group: its series.
        start: of the window, epoch ms.
        value: the reading that was made of it.

    Attributes:
        definition: by which it was made; None while no member of it was there.
    """

    def __init__(self, group: str, start: int, value: float) -> None:
        self.definition: Definition | None = None
        self._group, self._start, self._value = group, start, value
        self._windows: dict[int, dict[tuple[int, int], Row]] = {}
        self._partitions = 0
        self._heard: set[int] = set()
        self._times: dict[int, int] = {}  # of partitions that are not quiet
        self._merged = self._right = 0  # rows of the window, the first ones that came

    def take(self, told: Told) -> bool:
        """Something of the log, in its order; returns whether the window has closed, and all of it is there."""
        if isinstance(told, Members):
            self._add(told)
        else:
            self._partitions = max(self._partitions, told.partitions)
            self._heard.add(told.partition)
            if told.is_quiet:
                self._times.pop(told.partition, None)
            else:
                self._times[told.partition] = max(told.time, self._times.get(told.partition, NO_TIME))
        if self.definition is None or not self._heard:
            return False
        due, watermark = _due(self._start, self.definition), self._watermark
        if watermark < due:
            return False
        rows = len(self._windows[self._start])
        if rows != self._merged:
            self._merged = rows
            if self._make(rows) == self._value:
                self._right = rows
        return self._is_all_heard or watermark >= due + WINDOWS_BEFORE * self.definition.size

    @property
    def rows(self) -> list[Row]:
        """Of the window; if some of the log make the reading, these."""
        found = list(self._windows.get(self._start, {}).values())
        return found[: self._right or None]

    @property
    def again(self) -> float | None:
        """What its members make; None if there are none."""
        rows = self.rows
        return self._make(len(rows)) if rows else None

    @property
    def _watermark(self) -> float:
        return min(self._times.values(), default=inf)

    @property
    def _is_all_heard(self) -> bool:
        return 0 < self._partitions <= len(self._heard)

    def _make(self, count: int) -> float:
        assert self.definition is not None
        rows = islice(self._windows[self._start].values(), count)
        return value_of(self.definition.aggregate, list(rows), 0)

    def before(self) -> list[list[Row]]:
        """The windows before it that had members, the oldest first."""
        return [list(rows.values()) for start, rows in sorted(self._windows.items()) if start < self._start]

    def _add(self, told: Members) -> None:
        for member in told.members:
            size = member.definition.size
            start = member.start - member.start % size
            if member.group != self._group or not self._start - WINDOWS_BEFORE * size <= start <= self._start:
                continue
            if start < self._start and self._is_all_heard and self._watermark >= _due(start, member.definition):
                continue  # it came too late
            place = told.partition, member.first_offset
            row = Row(*place, member.series, member.count, member.mean, member.stddev, member.is_anomalous)
            self._windows.setdefault(start, {}).setdefault(place, row)
            if start == self._start and (self.definition is None or member.definition.rules > self.definition.rules):
                self.definition = member.definition


def _due(start: int, definition: Definition) -> int:
    return start + definition.size + definition.lateness


def moved(aggregate: str, rows: Sequence[Row], before: Sequence[Sequence[Row]]) -> list[Moved]:
    """The members that moved a reading, the one that did most first.

    Args:
        aggregate: as in `Definition`; of `late` nobody knows.
        rows: of the window.
        before: of each window before it that had any.

    >>> usual = [Row(0, 1, "a", 4, 5.0, 0.0, False), Row(0, 2, "b", 4, 5.0, 0.0, False)]
    >>> now = [Row(0, 3, "a", 4, 9.0, 0.0, False), Row(0, 4, "b", 4, 5.0, 0.0, False)]
    >>> [(one.series, one.by) for one in moved("mean", now, [usual, usual])]
    [('a', 2.0)]
    """
    mine, usual = _by_series(rows), _usual(before)
    names = sorted(
        mine.keys() | usual.keys(), key=lambda name: _change(mine.get(name, ()), usual.get(name)), reverse=True
    )
    value, found = value_of(aggregate, rows, 0), []
    for name in names[: max(_FEWEST, _MOST_ROWS // len(rows))]:
        others = [row for row in rows if row.series != name]
        others += [usual[name]] if name in usual else []
        by = value - value_of(aggregate, others, 0) if others else value
        if by:
            found.append(Moved(name, by, mine.get(name, []), [usual[name]] if name in usual else []))
    return sorted(found, key=lambda one: (-abs(one.by), one.series))


def _by_series(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.series, []).append(row)
    return found


def _usual(before: Sequence[Sequence[Row]]) -> dict[str, Row]:
    """Of each member that was in half of the windows or more one row: what it did in them."""
    found = {}
    for name, rows in _by_series(row for some in before for row in some).items():
        windows = sum(any(row.series == name for row in some) for some in before) if len(rows) > 1 else 1
        if 2 * windows >= len(before):
            found[name] = _merged(rows, windows)
    return found


def _merged(rows: Sequence[Row], windows: int) -> Row:
    count = sum(row.count for row in rows)
    mean = sum(row.count * row.mean for row in rows) / count
    squares = sum(row.count * (row.stddev**2 + (row.mean - mean) ** 2) for row in rows)
    is_anomalous = 2 * sum(row.is_anomalous for row in rows) > len(rows)
    return Row(-1, -1, rows[0].series, max(1, round(count / windows)), mean, sqrt(squares / count), is_anomalous)


def _change(now: Sequence[Row], usual: Row | None) -> float:
    """How much a member's own windows have changed, so that what may have moved the reading comes first."""
    before = (usual.count * usual.mean, usual.is_anomalous) if usual else (0.0, False)
    return abs(sum(row.count * row.mean for row in now) - before[0]) + (
        any(row.is_anomalous for row in now) != before[1]
    )
