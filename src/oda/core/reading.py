"""A reading: one number of one series at one time, and how its bytes are decoded.

Knows the message format and what makes a message unacceptable; knows nothing of windows or Kafka.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from oda.core.ahead import latest_time
from oda.core.groups.definition import PREFIX, is_group
from oda.core.guess import guess
from oda.errors import shorten

MIN_NUMBER = 315_532_800_000
"""Least number that is a time, epoch ms (1980). Below it is what was meant otherwise: epoch seconds, dates as numbers
up to the minute (202611251749), clocks that were never set. RFC 3339 says what it means, and has no such bound."""

MAX_TIME = 2**43 - 1
"""Largest time in epoch ms (September 2248): a time and a series number share 64 bits in `windows`."""

MAX_VALUE = 1e100
"""Largest magnitude: sums of squares over any window stay finite (1e200 * 2**53 < 1.8e308)."""

MAX_BRACKETS = 500
"""Most `[` and `{` in a message, wherever: how deep a parser can nest depends on its caller's stack."""

MAX_REASON = 200
"""Longest reason for a rejection, characters."""

_FRACTION = "got `float` - at `$.time`"
"""What msgspec says of a time like Python's `time.time()`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Reading(NamedTuple):
    """One accepted message; `time` in epoch milliseconds."""

    series: str
    time: int
    value: float


class RejectedError(Exception):
    """The message is not a reading; the text says why, in at most `MAX_REASON` characters."""

    def __init__(self, reason: str) -> None:
        super().__init__(shorten(reason, MAX_REASON))


class _Message(msgspec.Struct, gc=False):
    """The wire format; fields that are not named here are ignored."""

    series: Annotated[str, Meta(min_length=1, max_length=249)]
    time: int | Annotated[datetime, Meta(tz=True)]
    value: float


decoder = msgspec.json.Decoder(_Message)
"""Of the wire format; what it accepts may still be no reading: `decode` tells."""


def decode(data: bytes | None, timestamp: int, max_ahead: int, by_broker: bool = True) -> Reading:
    """Decode one Kafka message value.

    Args:
        data: the message's value; None is a tombstone.
        timestamp: when it came, epoch ms; its producer's time if not `by_broker`.
        max_ahead: how far the reading's time may be ahead of when it came, ms.
        by_broker: see `oda.core.ahead.latest_time`.

    Raises:
        RejectedError: the message is not a reading.
    """
    if data is None:
        raise RejectedError("no value")
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise RejectedError(f"not a reading: more than {MAX_BRACKETS} brackets and braces")
    try:
        message = decoder.decode(data.decode())  # of bytes, it would not look into the fields that it ignores
    except msgspec.ValidationError as error:
        hint = ": seconds with a fraction? (oda collect --time-unit s)" if _FRACTION in str(error) else ""
        raise RejectedError(f"not a reading: {error}{hint}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedError(f"not JSON: {error}") from None
    if is_group(message.series):
        raise RejectedError(f"series {message.series}: names that begin with {PREFIX} are those of groups")
    time = epoch_ms(message.time)
    if time < 0:
        raise RejectedError(f"time {time} is before 1970")
    if time > MAX_TIME:
        raise RejectedError(f"time {time} is too far ahead: after 2248")
    latest = latest_time(timestamp, max_ahead, by_broker)
    if latest is not None and time > latest:
        when = "when it came" if by_broker else "the time that its producer stamped on it"
        raise RejectedError(f"time {time} is more than {latest - timestamp} ms ahead of {timestamp}, {when}")
    if not -MAX_VALUE <= message.value <= MAX_VALUE:
        raise RejectedError(f"value {message.value} is beyond {MAX_VALUE}")
    return Reading(message.series, time, message.value)


def epoch_ms(time: int | datetime) -> int:
    """A time as it is in a message, in epoch ms. Raises RejectedError for a number that can't be meant as such.

    >>> epoch_ms(1732300000123), epoch_ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    (1732300000123, 1000)
    >>> epoch_ms(1396310400)
    Traceback (most recent call last):
    oda.core.reading.RejectedError: time 1396310400 is in January 1970 as epoch ms: seconds? (oda collect --time-unit s)
    """
    if isinstance(time, datetime):
        return (time - _EPOCH) // _MS
    if 0 <= time < MIN_NUMBER:
        meant = guess(time) or "if it is meant, write it as RFC 3339 (oda collect --time-unit ms)"
        raise RejectedError(f"time {time} is in {_EPOCH + time * _MS:%B %Y} as epoch ms: {meant}")
    if time > MAX_TIME:
        raise RejectedError(": ".join(filter(None, [f"time {time} is after 2248 as epoch ms", guess(time)])))
    return time


def encode(reading: Reading) -> bytes:
    """The message value of a reading: `{"series": ..., "time": epoch ms, "value": ...}`, before 1980 in RFC 3339."""
    message = reading._asdict()
    if reading.time < MIN_NUMBER:
        message["time"] = _EPOCH + reading.time * _MS
    return msgspec.json.encode(message)
