"""What the bolts with a state have in common: they run a machine for each partition and keep its snapshots durable."""

import threading
from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

from streamparse import Bolt

from oda.core import snapshot
from oda.core.batch import Batch
from oda.core.machine import Machine
from oda.core.partition import Ack, Action, Emit, Fail, Load, Partition, Save, Skip, Tell
from oda.errors import UserError
from oda.settings import Settings
from oda.stores.background import BackgroundWriter, FatalError
from oda.stores.snapshots import SnapshotStore
from oda.world import WORLD

M = TypeVar("M", bound=Machine[Any])


class Request(NamedTuple):
    """What a partition wants of the snapshots."""

    partition: int
    what: Load | Save


class MachineBolt(Bolt, ABC, Generic[M]):
    """A bolt with a machine for each partition; a batch's handle is the ids of the tuples that it came with."""

    auto_ack = False
    config = {"topology.tick.tuple.freq.secs": 1}
    machine: type[M]
    world = WORLD
    open_snapshots: Any = SnapshotStore

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writer; partitions are loaded when their first batch comes."""
        self.settings = Settings.from_options(storm_conf)
        self.partitions: dict[int, Partition[M]] = {}
        self.lock = threading.Lock()  # the store's thread emits and acknowledges, too
        self.snapshots: Any = None
        self.found: dict[int, M] = {}
        self.requests: BackgroundWriter[Request] = self.in_background(self._serve, self._served)

    @abstractmethod
    def fresh(self, position: int) -> M:
        """A machine that begins there."""

    @abstractmethod
    def put_out(self, emit: Emit) -> None:
        """Emit what a batch puts out, anchored to its handle."""

    def in_background(self, write: Any, done: Any) -> BackgroundWriter[Any]:
        """A writer that neither waits nor gives up."""
        forever, no_linger = float("inf"), 0.0
        return BackgroundWriter(write, done, forever, no_linger, self.logger, self._tell, self.world)

    def process_tick(self, tup: Any) -> None:
        """Do what is due even when no batch comes."""
        with self.lock:
            for number, partition in self.partitions.items():
                self.do(number, partition.tick(self.world.monotonic()))
        self.ack(tup)

    def receive(self, batch: Batch, handle: tuple[Any, ...]) -> None:
        """Take a batch; the lock is held."""
        partition = self.partition(batch.partition)
        self.do(batch.partition, partition.receive(batch, handle, self.world.monotonic()))

    def partition(self, number: int) -> Partition[M]:
        if number not in self.partitions:
            self.partitions[number] = self.new_partition(self.settings.snapshots.interval_ms / 1000)
        return self.partitions[number]

    def new_partition(self, save_seconds: float) -> Partition[M]:
        """One of which nothing is known yet."""
        return Partition(self.fresh, save_seconds)

    def do(self, number: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Ack | Fail):
                for tup_id in action.handle:
                    (self.ack if isinstance(action, Ack) else self.fail)(tup_id)
            elif isinstance(action, Load | Save):
                self.requests.put(Request(number, action))
            elif isinstance(action, Tell):
                self._tell(f"partition {number}: {action.problem}")
            elif isinstance(action, Skip):
                self.logger.warning("partition %d: no snapshot, %d offsets skipped", number, action.offsets)
            else:
                self.put_out(action)

    def _serve(self, requests: list[Request]) -> None:
        """In a thread of its own: talk to Cassandra."""
        if self.snapshots is None:
            self.snapshots = self.open_snapshots(self.settings, self.machine.name)
        for number, what in requests:
            try:
                if isinstance(what, Save):
                    self.snapshots.save(number, *what)
                else:
                    self.found[number] = snapshot.decode(self.snapshots.load(number), self.fresh(0))
            except (UserError, FatalError) as error:
                # The writer ends the process, or asks again: until a snapshot that can be read is there, the
                # bolt waits, and nothing is overwritten.
                self._tell(f"partition {number}: {error}")
                raise

    def _served(self, requests: list[Request]) -> None:
        """In that thread, too: go on with what waited for Cassandra."""
        with self.lock:
            for number, what in requests:
                partition, now = self.partitions[number], self.world.monotonic()
                if isinstance(what, Save):
                    self.do(number, partition.saved(what.position, now))
                else:
                    found = self.found.pop(number)
                    self.logger.info("partition %d goes on from offset %d", number, found.position)
                    self.do(number, partition.loaded(found, now))

    def _tell(self, problem: str) -> None:
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})
