"""The groups bolt: merges members' windows along the log of members, and publishes what comes of it as readings."""

from typing import Any, cast

from bolts.machine import MachineBolt
from oda.core.batch import Batch
from oda.core.groups.merging import Merging
from oda.core.groups.publishing import Publish, PublishingPartition
from oda.core.partition import Emit
from oda.kafka.derived import DerivedWriter


class GroupsBolt(MachineBolt[Merging]):
    """Emits nothing: what it finds goes through the log."""

    machine = Merging
    open_derived: Any = DerivedWriter

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writers."""
        super().initialize(storm_conf, context)
        self.derived: Any = None
        self.publications = self.in_background(self._write, self._written)

    def process(self, tup: Any) -> None:
        """Apply a batch."""
        with self.lock:
            self.receive(Batch.from_tuple(tup.values), (tup.id,))

    def fresh(self, position: int) -> Merging:
        """A machine that begins there."""
        return Merging(self.settings, position)

    def new_partition(self, save_seconds: float) -> PublishingPartition:
        """One of which nothing is known yet."""
        return PublishingPartition(self.fresh, save_seconds)

    def do(self, number: int, actions: list[Any]) -> None:
        """As all do; and publish."""
        for action in actions:
            if isinstance(action, Publish):
                self.publications.put((number, action))
            else:
                super().do(number, [action])

    def put_out(self, emit: Emit) -> None:
        """It is published in the order of the log, not batch by batch."""

    def _write(self, publications: list[tuple[int, Publish]]) -> None:
        """In the publisher's thread."""
        if self.derived is None:
            self.derived = self.open_derived(self.settings.kafka)
        self.derived.write([row for _, publish in publications for row in publish.rows])

    def _written(self, publications: list[tuple[int, Publish]]) -> None:
        """In that thread, too."""
        with self.lock:
            for number, publish in publications:
                partition = cast(PublishingPartition, self.partitions[number])
                self.do(number, list(partition.published(publish.through)))
