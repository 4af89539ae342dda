"""One connection's part of the way from a spool into Kafka. Knows when the spool may forget a message."""

from __future__ import annotations

import time
from collections import deque

import msgspec

from oda.collect.delivered import HEADER, mark
from oda.collect.producer import MAX_PENDING, Producer
from oda.collect.spool import Spool

BATCH = 1_000
"""Most messages read from the spool at once."""

DROP = 0.2
"""How often the spool is told what Kafka has, seconds: each time is an fsync, which appends wait for."""


class _Message(msgspec.Struct, gc=False):
    series: str


_decode = msgspec.json.Decoder(_Message).decode


class Pump:
    """Sends a spool's messages in order, keyed by series, and drops them once Kafka has them.

    Args:
        spool: where they are.
        producer: where they go.
        found: numbers of those that Kafka has from an earlier connection; they are not sent again.
    """

    def __init__(self, spool: Spool, producer: Producer, found: set[int]) -> None:
        self._spool = spool
        self._producer = producer
        self._found = found
        self._last_found = max(found, default=-1)
        self._flying: deque[int] = deque()  # numbers that were sent and are not acknowledged
        self._next = 0  # to be read
        self._dropped = 0  # up to this number
        self._drop_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether Kafka has yet to acknowledge something."""
        return bool(self._flying)

    def step(self) -> bool:
        """Send what has come, or wait a moment for something to happen; whether Kafka acknowledged something.

        Raises:
            UserError: Kafka refuses a message.
            SpoolError: the spool's disk fails.
        """
        came = self._spool.read(self._next, min(BATCH, MAX_PENDING - len(self._flying)))
        for number, message in came:
            self._next = number + 1
            if number not in self._found:
                key = _decode(message).series.encode()
                self._producer.send(message, key, [(HEADER, mark(self._spool.id, number))])
                self._flying.append(number)
        if not came and not self._flying:
            self._spool.wait(self._next, DROP)
        self._producer.settle(DROP if self._flying and not came else 0)
        progress = self._land()
        if time.monotonic() >= self._drop_at:
            self.drop()
            self._drop_at = time.monotonic() + DROP
        return progress

    def _land(self) -> bool:
        landed = len(self._flying) - (self._producer.sent - self._producer.acknowledged)
        for _ in range(landed):
            self._flying.popleft()
        return landed > 0

    def drop(self) -> None:
        """Let the spool forget what Kafka has; also after the producer was closed. Raises SpoolError."""
        self._land()
        end = self._flying[0] if self._flying else self._next
        if end == self._dropped:
            return
        # While some that were found are still in the spool, the next start must be able to find them again.
        ahead = self._producer.positions if end > self._last_found else {}
        self._spool.drop(end, self._spool.positions | ahead)
        self._dropped = end
