"""The sink bolt: its tuples go to a store, by a background writer, and are acknowledged when they are durable."""

from typing import Any

from streamparse import Bolt

from bolts import given_up_after
from oda.core.batch import Batch
from oda.core.groups.telling import Quiet, Said
from oda.core.kinds import KINDS
from oda.core.text import from_text
from oda.errors import Refused
from oda.settings import Settings
from oda.stores.background import BackgroundWriter
from oda.stores.catalogue import Description
from oda.stores.contract import Item, Rows, Store
from oda.world import WORLD


class SinkBolt(Bolt):
    """A bolt that writes to the store of a description; its subclasses are in `bolts.sinks`."""

    auto_ack = False
    auto_fail = False
    description: Description
    world = WORLD

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writer; the store is opened by it, so that one that is down does not stop the bolt."""
        self.settings = Settings.from_options(storm_conf)
        self.store: Store | None = None
        keep, linger = given_up_after(storm_conf), self.description.linger_seconds
        self.writer: BackgroundWriter[Any] = BackgroundWriter(
            self.write, self._done, keep, linger, self.logger, self._tell, self.world
        )

    def process(self, tup: Any) -> None:
        """Queue a tuple."""
        for old in self.writer.put(tup):
            self.fail(old)  # or the worker keeps it for ever

    def open(self) -> Store:
        """The store, ready to be written to."""
        store = self.description.open(self.settings)
        try:
            store.migrate()
        except BaseException:
            store.close()
            raise
        for note in store.notes:
            self.logger.warning(note)
        return store

    def write(self, tuples: list[Any]) -> None:
        """In the writer's thread: write them, and return when that is durable."""
        if self.store is None:
            self.store = self.open()
        try:
            self.store.write([_item(tup) for tup in tuples])
        except Refused:  # what was mended since shows when it is opened anew
            self.store.close()
            self.store = None
            raise

    def _done(self, tuples: list[Any]) -> None:
        for tup in tuples:
            self.ack(tup)

    def _tell(self, problem: str) -> None:
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})


def _item(tup: Any) -> Item:
    """What a tuple of any stream has for a store."""
    if tup.stream == "readings":
        return Batch.from_tuple(tup.values)
    if tup.stream == "members":
        return from_text(tup.values[1], Said)
    if tup.stream == "quiet":
        return from_text(tup.values[1], Quiet)
    kind = KINDS[tup.stream]
    partition, clock, rows = tup.values
    return Rows(kind, partition, clock, from_text(rows, kind.rows))
