"""The check of every source: each element is a reading before it is taken, or there is a reason why it is none.

Pure. What is taken is written anew, in the one form that `oda.core.reading.encode` gives: so it is small enough
for any Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from oda.collect.timeunit import TimeUnit, in_rfc_3339
from oda.core.reading import Reading, RejectedError, decode, encode

MAX_LENGTH = 2**20
"""Bytes of the longest line, and of the largest request."""


class Rejection(NamedTuple):
    """One element that is no reading: its number, from 1, and the reason."""

    number: int
    reason: str


class Checked(NamedTuple):
    """The readings, and the elements that are none; together all that there was."""

    readings: list[Reading]
    rejected: list[Rejection]

    @property
    def messages(self) -> list[bytes]:
        """The readings as they are sent."""
        return [encode(reading) for reading in self.readings]


@dataclass(frozen=True)
class Check:
    """What makes an element a reading.

    Args:
        max_ahead: how far a reading's time may be ahead of the clock, ms.
        unit: of times that are numbers, whatever moment that gives; None is epoch ms, and a number that can't be
            meant so is refused.

    >>> check = Check(max_ahead=0)
    >>> elements = enumerate([b'{"series": "pump-7", "time": "2014-04-01T00:00:00Z", "value": 3.25}', b"{}"], 1)
    >>> checked = check.all(elements, now=1732300000123)
    >>> checked.messages
    [b'{"series":"pump-7","time":1396310400000,"value":3.25}']
    >>> checked.rejected
    [Rejection(number=2, reason='not a reading: Object missing required field `series`')]
    """

    max_ahead: int
    unit: TimeUnit | None = None

    def one(self, element: bytes, now: int) -> Reading:
        """The reading that an element is; `now` in epoch ms. Raises RejectedError when it is none."""
        if len(element) > MAX_LENGTH:
            raise RejectedError(f"longer than {MAX_LENGTH} bytes")
        return decode(in_rfc_3339(element, self.unit) if self.unit else element, now, self.max_ahead)

    def all(self, elements: Iterable[tuple[int, bytes]], now: int) -> Checked:
        """Check elements, which have numbers; `now` in epoch ms."""
        readings, rejected = [], []
        for number, element in elements:
            try:
                readings.append(self.one(element, now))
            except RejectedError as error:
                rejected.append(Rejection(number, str(error)))
        return Checked(readings, rejected)
