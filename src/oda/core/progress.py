"""What the spout has emitted of one partition, what of it is acknowledged, what may be committed.

Two rules: batches chain (each starts where the one before ended), and an offset may be committed
only when every batch before it is acknowledged on all streams that it went out on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from oda.core.batch import Batch
from oda.core.kinds import Rejected

_READING_BYTES = 75
"""A rejected message counts as a reading for each time that it has so many bytes."""


@dataclass
class Sent:
    """A batch that is not acknowledged on every stream yet, with its tuple on each stream."""

    batch: Batch
    rejected: list[Rejected]
    waiting: set[str]

    @cached_property
    def weight(self) -> int:
        """How many readings it holds, or could in the memory that its rejected messages take."""
        sizes = (len(row.key or b"") + len(row.value or b"") for row in self.rejected)
        return len(self.batch.readings.offsets) + sum(1 + size // _READING_BYTES for size in sizes)


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

    def add(self, batch: Batch, rejected: list[Rejected]) -> int:
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
        """What has to be emitted again, if anything."""
        return self._sent.get(number)

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
    def committable(self) -> int:
        """Everything before this position is acknowledged."""
        oldest = next(iter(self._sent.values()), None)  # a dict keeps the order of insertion
        return self.position if oldest is None else oldest.batch.start
