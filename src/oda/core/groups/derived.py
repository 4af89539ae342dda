"""Derived readings: how a group's number comes back into the log of readings.

They are told from readings by their key, which is no UTF-8, and belong to one consumer group. They may be there twice;
each group's are written in order, each behind the acknowledged one before. So one whose time is not beyond all that
were there of its series is a repetition: a rule on the log, the same for everybody who reads it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oda.core import own_record
from oda.core.reading import MAX_TIME, MAX_VALUE

KEY = b"\xffoda.group"
"""The key of every derived reading."""


class DerivedRecord(msgspec.Struct, frozen=True):
    """Its value: the consumer group, and a reading."""

    group: str
    series: Annotated[str, Meta(min_length=1, max_length=249, pattern=r"^group:")]
    time: Annotated[int, Meta(ge=0, le=MAX_TIME)]
    value: Annotated[float, Meta(ge=-MAX_VALUE, le=MAX_VALUE)]


_decoder = msgspec.json.Decoder(DerivedRecord)


def decode(data: bytes | None) -> DerivedRecord:
    """The value of a record whose key is `KEY`.

    Raises:
        RejectedError: it is no derived reading.
    """
    return own_record.decode(_decoder, data, "derived reading")


def encode(group: str, series: str, time: int, value: float) -> bytes:
    """The value of a derived reading.

    >>> decode(encode("oda", "group:berlin/power", 2000, 0.5)).value
    0.5
    """
    return msgspec.json.encode(DerivedRecord(group, series, time, value))
