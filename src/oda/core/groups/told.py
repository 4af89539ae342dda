"""The log of members: what one partition of the readings says of windows that closed in it, and how far it has come.

Each record belongs to one consumer group, as another may have other rules. A member may be there twice: which one it
is, its group, its partition and its first offset tell. Whoever writes progress has what it says acknowledged: all
members that records before a position of the partition brought about stand before it, in every partition of the log of
members. So what comes again behind that is known for what it is, and nothing has to be remembered for long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from oda.core.groups.definition import Definition
from oda.core.reading import MAX_TIME

NO_TIME = -1


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A closed window of a series that belongs to a group (see `oda.core.kinds.ClosedWindow`).

    `is_anomalous` if anything of the series was found to be wrong since the window's first reading.
    """

    group: str
    series: str
    start: int
    count: int
    mean: float
    stddev: float
    first_offset: int
    closed_at: int
    is_anomalous: bool
    definition: Definition


class Members(msgspec.Struct, frozen=True, tag_field="what", tag="members"):
    """Some of one partition."""

    group: str
    partition: int
    members: list[Member]


class Progress(msgspec.Struct, frozen=True, tag_field="what", tag="progress"):
    """How far one of so many partitions has come: to a position, and a time, epoch ms, if that is known.

    One that `is_quiet` had nothing for so long that it holds nobody up until more is heard of it.
    """

    group: str
    partition: int
    partitions: int
    position: int
    time: Annotated[int, Meta(ge=NO_TIME, le=MAX_TIME)] = NO_TIME
    is_quiet: bool = False


Told = Members | Progress


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What was told, at its place in the log of members."""

    offset: int
    told: Told

    @property
    def weight(self) -> int:
        """As how many readings it counts."""
        return len(self.told.members) if isinstance(self.told, Members) else 0


class Record(Protocol):
    """What is needed of a Kafka record."""

    offset: int
    value: bytes | None


_decoder = msgspec.json.Decoder(Told)


def read(records: Iterable[Record], group: str) -> list[Mark]:
    """What records say to our consumer group; what is none of this kind says nothing."""
    marks = []
    for record in records:
        try:
            told = _decoder.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if told.group == group:
            marks.append(Mark(record.offset, told))
    return marks
