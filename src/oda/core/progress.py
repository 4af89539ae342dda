"""What the spout has emitted of one partition, what of it is acknowledged, what may be committed.

Two rules: batches chain (each starts where the one before ended), and an offset may be committed
only when every batch before it is acknowledged on all streams that it went out on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oda.core.batch import Batch

_READING_CHARACTERS = 100
"""A rejected message counts as a reading for each time that it has so many characters of base64."""


@dataclass
class Sent:
    """A batch that is not acknowledged on every stream yet, with its tuple on each stream."""

    batch: Batch
    rejected: list[Any]
    waiting: set[str]

    @cached_property
    def weight(self) -> int:
        """How many readings it holds, or could in the memory that its rejected messages take."""
        sizes = (sum(len(part or "") for part in row[2:]) for row in self.rejected)
        return len(self.batch.readings.offsets) + sum(1 + size // _READING_CHARACTERS for size in sizes)


class Progress:
    """One partition's emitted batches.

    Attributes:
        position: end of the last batch that was emitted.
        committed: what Kafka has confirmed; a new run of the spout starts here.
        unacked: readings in batches that are not acknowledged; a large rejected message counts as many.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self.committed = position
        self.unacked = 0
        self._sent: dict[int, Sent] = {}
        self._next = 0

    def add(self, batch: Batch, rejected: list[Any]) -> int:
        """Note a batch as emitted; returns its number, by which it is acknowledged.

        Raises:
            ValueError: the batch does not start where the one before ended.
        """
        if batch.start != self.position:
            raise ValueError(f"batch starts at {batch.start}, the one before ended at {self.position}")
        number = self._next
        self._next += 1
        sent = Sent(batch, rejected, {"readings", "rejected"} if rejected else {"readings"})
        self._sent[number] = sent
        self.position = batch.end
        self.unacked += sent.weight
        return number

    def fail(self, number: int) -> Sent | None:
        """What has to be emitted again, if anything.

        A clock batch must not come again behind readings: whether the clock closed a window before
        them would depend on the replay, and their results may be out already. Nothing is lost: they
        put out what the clock closed before them.
        """
        sent = self._sent.get(number)
        if sent is not None and sent.batch.is_clock and sent.batch.end < self.position:
            del self._sent[number]
            return None
        return sent

    def ack(self, number: int, stream: str) -> int:
        """The tuple of a batch on one stream is done; returns how many readings that makes acknowledged."""
        sent = self._sent.get(number)
        if sent is None:
            return 0
        sent.waiting.discard(stream)
        if sent.waiting:
            return 0
        del self._sent[number]
        self.unacked -= sent.weight
        return sent.weight

    @property
    def batches(self) -> int:
        """How many batches are not acknowledged."""
        return len(self._sent)

    @property
    def awaits_clock(self) -> bool:
        """Whether the newest batch is a clock batch that is not acknowledged: another would tell nothing new."""
        newest = next(reversed(self._sent.values()), None)
        return newest is not None and newest.batch.is_clock

    @property
    def committable(self) -> int:
        """Everything before this position is acknowledged."""
        oldest = next(iter(self._sent.values()), None)  # a dict keeps the order of insertion
        return self.position if oldest is None else oldest.batch.start
