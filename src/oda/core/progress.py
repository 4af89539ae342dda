"""What the spout has emitted of one partition, what of it is acknowledged, what may be committed.

Two rules: batches chain (each starts where the one before ended), and an offset may be committed
only when every batch before it is acknowledged on all streams that it went out on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from oda.core.batch import Batch
from oda.core.kinds import Rejected

_READING_BYTES = 75
"""A rejected message counts as a reading for each time that it has so many bytes."""


class Attempt(NamedTuple):
    """One emission of a batch on one stream: its `seq`, and when, in seconds of a clock that only goes forward."""

    seq: int
    time: float


_NONE = Attempt(-1, 0.0)


class Replay(NamedTuple):
    """The batches to be emitted again, by number and in this order; whether it is since an attempt's time was out."""

    batches: list[int]
    timed_out: bool


_NOTHING = Replay([], timed_out=False)


@dataclass
class Sent:
    """A batch that is not acknowledged on every stream yet; `waiting` has its newest attempt on each that is not."""

    batch: Batch
    rejected: list[Rejected]
    waiting: dict[str, Attempt]

    @cached_property
    def weight(self) -> int:
        """How many readings it holds, or could in the memory that its rejected messages take."""
        sizes = (len(row.key or b"") + len(row.value or b"") for row in self.rejected)
        told = sum(mark.weight for mark in self.batch.told)
        return len(self.batch.readings.offsets) + told + sum(1 + size // _READING_BYTES for size in sizes)


class Progress:
    """One partition's emitted batches.

    Args:
        position: where the first one starts.
        timeout: seconds after which Storm gives an attempt up, or later.

    Attributes:
        position: end of the last batch that was emitted.
        committed: what Kafka has confirmed; a new run of the spout starts here.
        unacked: readings in batches that are not acknowledged; a large rejected message counts as many.
    """

    def __init__(self, position: int, timeout: float) -> None:
        self._timeout = timeout
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
        sent = Sent(batch, rejected, dict.fromkeys(["readings", "rejected"] if rejected else ["readings"], _NONE))
        self._sent[number] = sent
        self.position = batch.end
        self.unacked += sent.weight
        return number

    def emit(self, number: int, stream: str, seq: int, now: float) -> Sent:
        """Note another attempt at a batch on a stream that it waits for; returns the batch."""
        sent = self._sent[number]
        sent.waiting[stream] = Attempt(seq, now)
        return sent

    def fail(self, number: int, stream: str, seq: int, now: float) -> Replay:
        """Which batches have to be emitted again on that stream.

        Just the one that failed, if its time was out. A bolt that fails one before that lacks what came before it,
        so all are emitted again, in order.
        """
        sent = self._sent.get(number)
        attempt = sent.waiting.get(stream) if sent else None
        if attempt is None or attempt.seq != seq:  # done, or another attempt is under way
            return _NOTHING
        timed_out = now >= attempt.time + self._timeout
        if stream != "readings" or timed_out:
            return Replay([number], timed_out)
        return Replay([other for other, sent in self._sent.items() if stream in sent.waiting], timed_out=False)

    def ack(self, number: int, stream: str) -> int:
        """The tuple of a batch on one stream is done; returns how many readings that makes acknowledged."""
        sent = self._sent.get(number)
        if sent is None:
            return 0
        sent.waiting.pop(stream, None)
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
