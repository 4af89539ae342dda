"""The second implementation of groups: what their members' windows make, in the plainest Python, one record at a time.

It exists to be checked by eye (docs/groups.md), and shares nothing with the bolts but what a derived reading is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from math import floor, inf, sqrt
from typing import Any, NamedTuple

from oda.core.reading import Reading


class Member(NamedTuple):
    """A closed window of a series that belongs to a group; of it the last five fields say what it does."""

    group: str
    series: str
    start: int
    readings: int
    mean: float
    stddev: float
    first_offset: int
    closed_at: int
    is_anomalous: bool
    rules: int
    size: int
    lateness: int
    aggregate: str
    least: int


class Told(NamedTuple):
    """A record of the log of members, of one partition of the readings: some members, or how far it has come."""

    group: str
    partition: int
    members: Sequence[Member] = ()
    partitions: int = 0
    position: int = -1
    time: int = -1
    is_quiet: bool = False


def read_told(data: bytes | None) -> Told | None:
    """What the value of a record means; None if it is none of this kind."""
    try:
        fields = json.loads((data or b"").decode())
        if fields["what"] == "members":
            members = [Member(*row[:-1], *row[-1]) for row in fields["members"]]
            members = [one._replace(mean=float(one.mean), stddev=float(one.stddev)) for one in members]
            return Told(fields["group"], fields["partition"], members)
        where = (fields[name] for name in ("partitions", "position", "time", "is_quiet"))
        return Told(fields["group"], fields["partition"], (), *where)
    except (ValueError, KeyError, TypeError):
        return None


class _Source:
    """One partition of the readings."""

    def __init__(self) -> None:
        self.position = 0
        self.time = -1
        self.is_quiet = False


class _Group:
    def __init__(self, member: Member) -> None:
        self.rules = member
        """What its members carry, in the newest version."""
        self.closed = -1
        self.late = 0
        self.open: dict[int, list[tuple[int, Member]]] = {}
        """By start: members, each with its partition."""

    def due(self, start: int) -> int:
        return start + self.rules.size + self.rules.lateness


class Groups:
    """One partition of the log of members, read once from its beginning.

    Attributes:
        derived: the readings of each group, in their order.
        late: how many members came too late.
    """

    def __init__(self) -> None:
        self.derived: dict[str, list[Reading]] = {}
        self.late = 0
        self._groups: dict[str, _Group] = {}
        self._sources: dict[int, _Source] = {}
        self._partitions = 0
        self._seen: set[tuple[str, int, int]] = set()

    @property
    def is_open(self) -> bool:
        """Whether a window has not closed."""
        return any(group.open for group in self._groups.values())

    def read(self, told: Told) -> None:
        """Apply the next record."""
        if told.position >= 0:
            self._come(told)
            touched = list(self._groups)
        else:
            for member in told.members:
                self._add(told.partition, member)
            touched = list(dict.fromkeys(member.group for member in told.members))
        watermark = self._watermark()
        for name in touched:
            group = self._groups.get(name)
            for start in sorted(group.open) if group else ():
                if group is not None and group.due(start) <= watermark:
                    self._close(name, group, start)

    def _add(self, partition: int, member: Member) -> None:
        identity = member.group, partition, member.first_offset
        if identity in self._seen:
            return
        self._seen.add(identity)
        group = self._groups.setdefault(member.group, _Group(member))
        if member.rules > group.rules.rules:
            if member.size != group.rules.size:
                for start in sorted(group.open):
                    self._close(member.group, group, start)
            group.rules = member
        start = member.start // group.rules.size * group.rules.size
        if start <= group.closed:
            group.late += 1
            self.late += 1
        else:
            group.open.setdefault(start, []).append((partition, member))

    def _come(self, told: Told) -> None:
        self._partitions = max(self._partitions, told.partitions)
        source = self._sources.setdefault(told.partition, _Source())
        if told.position < source.position:
            return
        if told.position > source.position or told.is_quiet:
            source.is_quiet = told.is_quiet
        source.position = told.position
        source.time = max(source.time, told.time)

    def _watermark(self) -> float:
        if len(self._sources) < self._partitions or not self._sources:
            return -1
        return min((source.time for source in self._sources.values() if not source.is_quiet), default=inf)

    def _close(self, name: str, group: _Group, start: int) -> None:
        found = group.open.pop(start)
        found.sort(key=lambda one: (one[0], one[1].first_offset))
        members = [member for _, member in found]
        if len({member.series for member in members}) >= group.rules.least:
            value = _value(group.rules.aggregate, members, group.late)
            value = min(max(value, -1e100), 1e100)
            self.derived.setdefault(name, []).append(Reading(name, start, value))
        group.closed = max(group.closed, start)
        group.late = 0


def _value(aggregate: str, members: list[Member], late: int) -> float:
    if aggregate == "late":
        return float(late)
    if aggregate.startswith("quantile:"):
        means = sorted(_means(members))
        at = float(aggregate.split(":")[1]) * (len(means) - 1)
        below = floor(at)
        above = min(below + 1, len(means) - 1)
        return means[below] + (means[above] - means[below]) * (at - below)
    return float(_VALUES[aggregate](members))


def _mean(members: list[Member]) -> float:
    first = members[0].mean
    weighted = 0.0
    for member in members:
        weighted = weighted + member.readings * (member.mean - first)
    return first + weighted / _readings(members)


def _stddev(members: list[Member]) -> float:
    mean = _mean(members)
    squares = 0.0
    for member in members:
        squares = squares + member.readings * (
            member.stddev * member.stddev + (member.mean - mean) * (member.mean - mean)
        )
    return sqrt(squares / _readings(members))


def _readings(members: list[Member]) -> int:
    return sum(member.readings for member in members)


def _means(members: list[Member]) -> Iterator[float]:
    of_series: dict[str, list[Member]] = {}
    for member in members:
        of_series.setdefault(member.series, []).append(member)
    return map(_mean, of_series.values())


def _sum(members: list[Member]) -> float:
    total = 0.0
    for mean in _means(members):
        total = total + mean
    return total


def _anomalous(members: list[Member]) -> float:
    return len({member.series for member in members if member.is_anomalous}) / _members(members)


def _members(members: list[Member]) -> int:
    return len({member.series for member in members})


_VALUES: dict[str, Callable[[list[Member]], Any]] = {
    "mean": _mean,
    "sum": _sum,
    "minimum": lambda members: min(_means(members)),
    "maximum": lambda members: max(_means(members)),
    "stddev": _stddev,
    "members": _members,
    "readings": _readings,
    "anomalous": _anomalous,
}
