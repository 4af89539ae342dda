"""Times that are numbers of another unit than milliseconds, by the wish of the person who runs a collector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from oda.core.reading import MAX_TIME, RejectedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_number = msgspec.json.Decoder(int | float).decode


class TimeUnit(StrEnum):
    """What a number counts since 1970."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"

    @property
    def per_second(self) -> int:
        """How many are a second."""
        return {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[self]


def in_rfc_3339(message: bytes, unit: TimeUnit) -> bytes:
    """The message with RFC 3339 for a time that is a number of `unit`; any other is left as it is.

    A fraction is rounded to microseconds, like that of RFC 3339.

    Raises:
        RejectedError: the number is no time from 1970 to 2248.

    >>> in_rfc_3339(b'{"time": 1396310400.5, "value": 3.250}', TimeUnit.S)
    b'{"time":"2014-04-01T00:00:00.500000Z","value":3.250}'
    """
    try:
        fields = _fields(message)
        number = _number(fields["time"])
    except (msgspec.DecodeError, KeyError, RecursionError):
        return message  # RFC 3339 already, or nothing that `decode` accepts
    if not 0 <= number <= MAX_TIME * unit.per_second // 1000:
        raise RejectedError(f"time {number} is not from 1970 to 2248 with --time-unit {unit}")
    if isinstance(number, int):
        microseconds = number * 10**6 // unit.per_second
    else:
        microseconds = round(number * 10**6 / unit.per_second)
    fields["time"] = msgspec.Raw(msgspec.json.encode(_EPOCH + timedelta(microseconds=microseconds)))
    return msgspec.json.encode(fields)
