"""The groups bolt's partition: the protocol, and derived readings that are published in the order of the log.

They are published as far as the machine has come, whatever batch brought them about and whether it comes again: of each
group in order, from the first one that may not have been published. So a later one never overtakes an earlier, which
would be taken for a repetition then. A batch is acknowledged when its own are published, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from oda.core.batch import Batch
from oda.core.groups.merging import Derived, Merging
from oda.core.partition import Ack, Handle, Partition


class Publish(NamedTuple):
    """Write these, in order; then everything before a position is published."""

    rows: Sequence[Derived]
    through: int


class PublishingPartition(Partition[Merging]):
    """As `Partition`."""

    def __init__(self, fresh: Callable[[int], Merging], save_seconds: float) -> None:
        super().__init__(fresh, save_seconds)
        self._asked = self._published = 0

    def receive(self, batch: Batch, handle: Handle, now: float) -> list[Any]:
        """Take a batch (see `Partition.receive`)."""
        return super().receive(batch, handle, now) + self._publish()

    def loaded(self, machine: Merging, now: float) -> list[Any]:
        """The newest snapshot is this (see `Partition.loaded`); what it has not forgotten is published again."""
        self._asked = self._published = machine.forgotten
        return super().loaded(machine, now) + self._publish()

    def tick(self, now: float) -> list[Any]:
        """What is due (see `Partition.tick`)."""
        return super().tick(now) + self._publish()

    def published(self, through: int) -> list[Ack]:
        """All before a position is published: acknowledge what waited for it."""
        self._published = max(self._published, through)
        return self._let_done()

    @property
    def _done(self) -> int:
        return min(super()._done, self._published)

    def _publish(self) -> list[Publish]:
        machine = self._machine
        if machine is None or machine.position <= self._asked:
            return []
        start, self._asked = self._asked, machine.position
        return [Publish(machine.ledgers["derived"].between(start, self._asked), self._asked)]
