"""The sink bolt: its tuples go to a store, by a background writer, and are acknowledged when they are durable."""

from streamparse import Bolt

from bolts import given_up_after
from oda.core.batch import Batch
from oda.core.kinds import KINDS
from oda.core.text import from_text
from oda.errors import Refused
from oda.settings import Settings
from oda.stores.background import BackgroundWriter
from oda.stores.catalogue import Description
from oda.stores.contract import Rows


class SinkBolt(Bolt):
    """A bolt that writes to the store of a description; its subclasses are in `bolts.sinks`."""

    auto_ack = False
    auto_fail = False
    description: Description

    def initialize(self, storm_conf, context):
        """Start the writer; the store is opened by it, so that one that is down does not stop the bolt."""
        self.settings = Settings.from_options(storm_conf)
        self.store = None
        keep, linger = given_up_after(storm_conf), self.description.linger_seconds
        self.writer = BackgroundWriter(self.write, self._done, keep, linger, self.logger, self._tell)

    def process(self, tup):
        """Queue a tuple."""
        for old in self.writer.put(tup):
            self.fail(old)  # or the worker keeps it for ever

    def open(self):
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

    def write(self, tuples):
        """In the writer's thread: write them, and return when that is durable."""
        if self.store is None:
            self.store = self.open()
        try:
            self.store.write([_item(tup) for tup in tuples])
        except Refused:  # what was mended since shows when it is opened anew
            self.store.close()
            self.store = None
            raise

    def _done(self, tuples):
        for tup in tuples:
            self.ack(tup)

    def _tell(self, problem):
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})


def _item(tup):
    """What a tuple of any stream has for a store."""
    if tup.stream == "readings":
        return Batch.from_tuple(tup.values)
    kind = KINDS[tup.stream]
    partition, clock, rows = tup.values
    return Rows(kind, partition, clock, from_text(rows, list[kind.row]))
