"""Clock records: the clock's part in the log.

That a series has fallen silent is seen by a clock. Two processes may see it differently, a replay not at all. So what
is seen changes nothing: it is written into the partition, as a clock record, and closes windows, or ends a series that
has been silent for very long, when it is read from there, at one offset, for everybody alike. So the windows of a
partition are a function of its log, of nothing else.

A clock record belongs to one consumer group, as another may have other windows. It is told from a reading by its key,
which is no UTF-8, and so no series' name. It names the position as of which silence was seen, and closes nothing of a
series of which a reading came at or behind that: whoever wrote it had not read that one yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from oda.core import own_record
from oda.core.reading import MAX_TIME

T = TypeVar("T")

KEY = b"\xffoda.clock"
"""The key of every clock record."""

MOST_SERIES = 500
"""In one record: whatever their names are, they take less than Kafka's 1 MiB."""

Series = Annotated[str, Meta(min_length=1, max_length=249)]
Time = Annotated[int, Meta(ge=0, le=MAX_TIME)]
Position = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ClockRecord(msgspec.Struct, frozen=True):
    """Its value; `through` has of each silent series the start of the last window that closes, epoch ms.

    Series that are `ended` have been silent for so long that nothing is kept of them: one that comes again begins anew.
    """

    group: str
    position: Position
    through: dict[Series, Time]
    ended: list[Series] = []


_decoder = msgspec.json.Decoder(ClockRecord)


def decode(data: bytes | None) -> ClockRecord:
    """The value of a record whose key is `KEY`.

    Raises:
        RejectedError: it is no clock record.
    """
    return own_record.decode(_decoder, data, "clock record")


def encode(group: str, position: int, through: Mapping[str, int], ended: Iterable[str] = ()) -> Iterator[bytes]:
    """Values of records that close these windows and end these series: several, if there are many.

    >>> [(decode(value).through, decode(value).ended) for value in encode("oda", 7, {"pump-7": 2000}, ["pump-8"])]
    [({'pump-7': 2000}, []), ({}, ['pump-8'])]
    """
    for windows in _parts(through.items()):
        yield msgspec.json.encode(ClockRecord(group, position, dict(windows)))
    for series in _parts(ended):
        yield msgspec.json.encode(ClockRecord(group, position, {}, series))


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, MOST_SERIES)):
        yield some
