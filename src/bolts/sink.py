"""What the three sink bolts share: tuples go to a background writer and are acknowledged when durable."""

from typing import Any

from streamparse import Bolt

from bolts import given_up_after
from oda.settings import Settings
from oda.stores.background import BackgroundWriter
from oda.world import WORLD


class SinkBolt(Bolt):
    """A bolt that writes to a store. A subclass says how to open it and how a tuple is added."""

    auto_ack = False
    auto_fail = False
    linger_seconds = 0.0
    """How long a tuple waits for others to be written with it, where that is cheaper."""
    world = WORLD

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writer; the store is opened by it, so that one that is down does not stop the bolt."""
        self.settings = Settings.from_options(storm_conf)
        self.store: Any = None
        keep = given_up_after(storm_conf)
        self.writer: BackgroundWriter[Any] = BackgroundWriter(
            self.write, self._done, keep, self.linger_seconds, self.logger, self._tell, self.world
        )

    def process(self, tup: Any) -> None:
        """Queue a tuple."""
        for old in self.writer.put(tup):
            self.fail(old)  # or the worker keeps it for ever

    def open(self) -> Any:
        """Connect to the store: something with `flush()` that returns when all is durable, and `notes` for the log."""
        raise NotImplementedError

    def add(self, store: Any, tup: Any) -> None:
        """Add a tuple's rows to the store's next flush."""
        raise NotImplementedError

    def write(self, tuples: list[Any]) -> None:
        """In the writer's thread: write them, and return when that is durable."""
        if self.store is None:
            self.store = self.open()
            for note in self.store.notes:
                self.logger.warning(note)
        for tup in tuples:
            self.add(self.store, tup)
        self.store.flush()

    def _done(self, tuples: list[Any]) -> None:
        for tup in tuples:
            self.ack(tup)

    def _tell(self, problem: str) -> None:
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})
