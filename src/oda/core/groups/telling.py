"""What the bolts say of members, and how it comes into the log of members (see `oda.core.groups.told`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from oda.core.batch import Batch
from oda.core.groups.definition import is_group
from oda.core.groups.told import NO_TIME, Member, Members, Progress

MOST_MEMBERS = 300
"""In one record: whatever their names are, they take less than Kafka's 1 MiB."""


class Said(NamedTuple):
    """What the anomaly bolt says of a batch of one partition: its place, the newest time in it, members."""

    partition: int
    start: int
    end: int
    committed: int
    time: int
    members: Sequence[Member]

    @classmethod
    def of(cls, batch: Batch, members: Sequence[Member]) -> Said:
        """Of a batch that was judged. The time is that of readings that no group made, and that are no outliers."""
        closings = batch.closings
        readings = batch.readings.since(closings.since).without(one.offset for one in closings.held)
        plain = np.array([not is_group(name) for name in readings.names], bool)[readings.series]
        time = int(readings.times[plain].max(initial=NO_TIME))
        return cls(batch.partition, batch.start, batch.end, batch.committed, time, members)


class Quiet(NamedTuple):
    """What the window bolt says of a partition of which all is committed: nothing was heard of it for long."""

    partition: int
    position: int


class _Way:
    """Of one partition: up to where all members are in the log, and what is known beyond that."""

    def __init__(self) -> None:
        self.through = 0
        self.time = NO_TIME
        self._beyond: list[tuple[int, int, int]] = []

    def add(self, said: Said) -> None:
        self.through = max(self.through, said.committed)
        self._beyond.append((said.start, said.end, said.time))
        for start, end, time in sorted(self._beyond):
            if start <= self.through:
                self.through = max(self.through, end)
                self.time = max(self.time, time)
        self._beyond = [one for one in self._beyond if one[1] > self.through]


class Telling:
    """What is to be written into the log of members, and what may be said when that is acknowledged.

    Args:
        group: the consumer group.
        partitions: of the log of members.
    """

    def __init__(self, group: str, partitions: int) -> None:
        self._group = group
        self._partitions = partitions
        self._ways: dict[int, _Way] = {}

    def members(self, items: Iterable[Said | Quiet]) -> list[tuple[int, bytes]]:
        """Values of records, each with its partition of the log of members."""
        found = []
        for item in items:
            if isinstance(item, Said):
                parts: dict[int, list[Member]] = {}
                for member in item.members:
                    parts.setdefault(crc32(member.group.encode()) % self._partitions, []).append(member)
                for number, members in parts.items():
                    for at in range(0, len(members), MOST_MEMBERS):
                        some = Members(self._group, item.partition, members[at : at + MOST_MEMBERS])
                        found.append((number, msgspec.json.encode(some)))
        return found

    def progress(self, items: Iterable[Said | Quiet], partitions: int) -> list[tuple[int, bytes]]:
        """The same, when all `members` of these items are acknowledged; may be asked again.

        Args:
            items: as before.
            partitions: how many there are of the readings.
        """
        told: dict[int, Progress] = {}
        for item in items:
            way = self._ways.setdefault(item.partition, _Way())
            if isinstance(item, Said):
                way.add(item)
                told[item.partition] = Progress(self._group, item.partition, partitions, way.through, way.time)
            else:
                way.through = max(way.through, item.position)
                if way.through == item.position:
                    told[item.partition] = Progress(
                        self._group, item.partition, partitions, item.position, way.time, is_quiet=True
                    )
        return [
            (number, msgspec.json.encode(progress)) for progress in told.values() for number in range(self._partitions)
        ]
