"""The groups of one partition of the log of members: a state machine over that log (see `oda.core.machine`).

Semantics (docs/groups.md): a group's windows are tumbling, members belong to the one that has their start. A window
closes when every partition of the readings, but those that are quiet, has come so far beyond its end as the group's
lateness says. What comes of it is a function of this log: who was late is nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from math import inf
from typing import Any, ClassVar
from zlib import crc32

import msgspec

from oda.core.batch import Batch
from oda.core.groups.aggregates import Row, members_of, value_of
from oda.core.groups.definition import Definition
from oda.core.groups.told import NO_TIME, Member, Members, Progress
from oda.core.ledger import Ledger
from oda.core.machine import Machine
from oda.settings import Settings


class Derived(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reading of a group, for a partition of the readings; `closed_at` is the offset of what closed the window."""

    series: str
    time: int
    value: float
    partition: int
    closed_at: int


class Group(msgspec.Struct, array_like=True):
    """What is kept of one group.

    `partition` of the readings is where its own go, chosen with the first, for ever; `closed` the largest start of a
    window that has closed, epoch ms; `late` counts members that came too late since then; `open` has the members of
    windows by their starts.
    """

    name: str
    definition: Definition
    partition: int = -1
    closed: int = -1
    late: int = 0
    open: dict[int, list[Row]] = {}


class Source(msgspec.Struct, array_like=True):
    """How far a partition of the readings has come (see `oda.core.groups.told.Progress`)."""

    position: int = 0
    time: int = NO_TIME
    is_quiet: bool = False


class Merging(Machine[Group]):
    """Its ledger is that of `derived` readings."""

    name = "groups"
    state = Group
    ledger_rows: ClassVar = {"derived": Derived}

    def __init__(self, settings: Settings, position: int = 0) -> None:
        self._derived: Ledger[Derived] = Ledger("closed_at")
        super().__init__(settings, position, {"derived": self._derived})
        self._partitions = 0
        self._sources: dict[int, Source] = {}
        self._seen: dict[int, dict[tuple[str, int], int]] = {}  # by partition, members it may bring again: closed at
        self._watermark: float = NO_TIME
        self._due: list[tuple[int, str, int]] = []  # a heap: from which watermark on a group's window is over

    def advance(self, batch: Batch) -> None:
        """Apply what a batch has from `position` on."""
        for mark in batch.told:
            if mark.offset >= self.position:
                told = mark.told
                if isinstance(told, Members):
                    for member in told.members:
                        self._add(told.partition, member, mark.offset)
                else:
                    self._come(told)
                self._close_due(mark.offset)

    def _add(self, partition: int, member: Member, offset: int) -> None:
        source = self._sources.get(partition)
        seen = self._seen.setdefault(partition, {})
        key = member.group, member.first_offset
        if key in seen or (source is not None and member.closed_at < source.position):
            return
        seen[key] = member.closed_at
        group = self._group(member, offset)
        start = member.start - member.start % group.definition.size
        if start <= group.closed:
            group.late += 1
            return
        if start not in group.open:
            group.open[start] = []
            self._await(group, start)
        group.open[start].append(
            Row(
                partition,
                member.first_offset,
                member.series,
                member.count,
                member.mean,
                member.stddev,
                member.is_anomalous,
            )
        )

    def _group(self, member: Member, offset: int) -> Group:
        """The state of its group, by the newest rules that any member carries: other windows close the former ones."""
        self.changed.add(member.group)
        group = self.series.get(member.group)
        if group is None:
            group = self.series[member.group] = Group(member.group, member.definition)
        elif member.definition.rules > group.definition.rules:
            if member.definition.size != group.definition.size:
                for start in sorted(group.open):
                    self._close(group, start, offset)
            group.definition = member.definition
            for start in group.open:
                self._await(group, start)
        return group

    def _come(self, progress: Progress) -> None:
        self._partitions = max(self._partitions, progress.partitions)
        source = self._sources.setdefault(progress.partition, Source())
        if progress.position >= source.position:
            self._go_on(source, progress)
        self._derive_watermark()  # of old progress, too: there may be partitions more

    def _go_on(self, source: Source, progress: Progress) -> None:
        # Of what a zombie tells nothing is newer than that all is quiet.
        source.is_quiet = progress.is_quiet or (source.is_quiet and progress.position == source.position)
        if progress.position > source.position:
            seen = self._seen.get(progress.partition, {})
            self._seen[progress.partition] = {key: at for key, at in seen.items() if at >= progress.position}
        source.position, source.time = progress.position, max(source.time, progress.time)

    def _derive_watermark(self) -> None:
        self._watermark = NO_TIME
        if 0 < len(self._sources) == self._partitions:
            self._watermark = min((one.time for one in self._sources.values() if not one.is_quiet), default=inf)

    def _await(self, group: Group, start: int) -> None:
        heappush(self._due, (_due(group, start), group.name, start))

    def _close_due(self, offset: int) -> None:
        while self._due and self._due[0][0] <= self._watermark:
            due, name, start = heappop(self._due)
            group = self.series[name]
            if start in group.open and due == _due(group, start):
                self._close(group, start, offset)

    def _close(self, group: Group, start: int, offset: int) -> None:
        rows = group.open.pop(start)
        if group.partition < 0:
            group.partition = crc32(group.name.encode()) % max(1, self._partitions)
        if members_of(rows) >= group.definition.least:
            value = value_of(group.definition.aggregate, rows, group.late)
            self._derived.add([Derived(group.name, start, value, group.partition, offset)])
        group.closed, group.late = max(group.closed, start), 0
        self.changed.add(group.name)

    # -- snapshots

    def besides(self) -> dict[str, Any]:
        """How far each partition has come, and which members it may bring again."""
        seen = {number: [(*key, at) for key, at in of.items()] for number, of in self._seen.items()}
        return {"partitions": self._partitions, "sources": self._sources, "seen": seen}

    def derive(self, besides: Mapping[str, Any]) -> None:
        """When windows are over."""
        self._partitions = besides["partitions"]
        self._sources = {number: msgspec.convert(one, Source) for number, one in besides["sources"].items()}
        self._seen = {number: {(name, at): closed for name, at, closed in of} for number, of in besides["seen"].items()}
        self._derive_watermark()
        for group in self.series.values():
            for start in group.open:
                self._await(group, start)


def _due(group: Group, start: int) -> int:
    return start + group.definition.size + group.definition.lateness
