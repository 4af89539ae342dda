"""What push sources hand over: told apart, and each checked to be a reading before it is taken.

Pure. What is taken is written anew, in the one form that `oda.core.reading.encode` gives: so it is small enough
for any Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from oda.core.reading import RejectedError, decode, encode

MAX_LENGTH = 2**20
"""Bytes of the longest line, and of the largest request."""

_array = msgspec.json.Decoder(list[msgspec.Raw])


class Rejection(NamedTuple):
    """One element that is no reading: its number, from 1, and the reason."""

    number: int
    reason: str


class Checked(NamedTuple):
    """The messages of the readings, and the elements that are none; together all that there was."""

    messages: list[bytes]
    rejected: list[Rejection]


def check(elements: Iterable[tuple[int, bytes]], now: int, max_ahead: int) -> Checked:
    """Check elements, which have numbers.

    Args:
        elements: each number, and what should be a reading.
        now: epoch ms.
        max_ahead: how far a reading's time may be ahead of it, ms.

    >>> elements = enumerate([b'{"series": "pump-7", "time": "1970-01-01T00:00:01Z", "value": 3.25}', b"{}"], 1)
    >>> messages, rejected = check(elements, now=1_000, max_ahead=0)
    >>> messages
    [b'{"series":"pump-7","time":1000,"value":3.25}']
    >>> rejected
    [Rejection(number=2, reason='not a reading: Object missing required field `series`')]
    """
    messages, rejected = [], []
    for number, element in elements:
        try:
            if len(element) > MAX_LENGTH:
                raise RejectedError(f"longer than {MAX_LENGTH} bytes")
            messages.append(encode(decode(element, now, max_ahead)))
        except RejectedError as error:
            rejected.append(Rejection(number, str(error)))
    return Checked(messages, rejected)


def elements_of(body: bytes) -> list[tuple[int, bytes]]:
    """The elements of a request, numbered from 1: of a JSON array, or its lines, of which blank ones don't count.

    One reading may span lines.

    Raises:
        RejectedError: there is none, or it is an array that is not JSON.

    >>> elements_of(b'[{"a": 1}, 2]')
    [(1, b'{"a": 1}'), (2, b'2')]
    >>> elements_of(b"{}\\n\\n{}\\n")
    [(1, b'{}'), (3, b'{}')]
    """
    start = body.lstrip()[:1]
    if not start:
        raise RejectedError("there is no reading in it")
    if start == b"[":
        try:
            return [(number, bytes(element)) for number, element in enumerate(_array.decode(body), 1)]
        except (msgspec.DecodeError, RecursionError) as error:
            raise RejectedError(f"not JSON: {error}") from None
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    return [(1, body)]
