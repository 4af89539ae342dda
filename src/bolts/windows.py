"""The window bolt: runs each partition's state machine and keeps its snapshots durable."""

import threading
from typing import Any, NamedTuple

from streamparse import Bolt, Stream

from oda.core import snapshot
from oda.core.baselines import Baselines
from oda.core.batch import Batch
from oda.core.kinds import ClosedWindow
from oda.core.partition import Ack, Action, Fail, Load, Mark, Partition, Save, Skip
from oda.core.text import to_text
from oda.core.windows import PartitionWindows
from oda.kafka.clock import ClockWriter
from oda.settings import Settings
from oda.stores.background import BackgroundWriter, FatalError
from oda.stores.snapshots import SnapshotStore
from oda.world import WORLD


class Request(NamedTuple):
    """What a partition wants of the snapshots."""

    partition: int
    what: Load | Save


class WindowBolt(Bolt):
    """Emits `windows` (closed ones, to the sinks) and `baselines` (of a batch, to the anomaly bolt)."""

    auto_ack = False
    config = {"topology.tick.tuple.freq.secs": 1}
    outputs = [
        Stream(name="windows", fields=["partition", "clock", "rows"]),
        Stream(name="baselines", fields=["partition", "epoch", "seq", "rows"]),
    ]
    world = WORLD
    open_snapshots: Any = SnapshotStore
    open_clock: Any = ClockWriter

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writers; partitions are loaded when their first batch comes."""
        self.settings = Settings.from_options(storm_conf)
        self.partitions: dict[int, Partition] = {}
        self.lock = threading.Lock()  # the store's thread emits and acknowledges, too
        self.snapshots: Any = None
        self.clock: Any = None
        self.found: dict[int, PartitionWindows] = {}
        self.requests: BackgroundWriter[Request] = self._in_background(self._serve, self._served)
        self.records: BackgroundWriter[tuple[int, Mark]] = self._in_background(self._write_clock, lambda _: None)

    def _in_background(self, write: Any, done: Any) -> BackgroundWriter[Any]:
        forever, no_linger = float("inf"), 0.0
        return BackgroundWriter(write, done, forever, no_linger, self.logger, self._tell, self.world)

    def process(self, tup: Any) -> None:
        """Apply a batch, or look for silence as of a clock."""
        # A tuple's id is handle enough; its payload must not be kept until it is acknowledged.
        with self.lock:
            if tup.stream == "clock":
                number, *clock = tup.values
                self._do(number, self._partition(number).clock(*clock))
                self.ack(tup)
            else:
                batch = Batch.from_tuple(tup.values)
                self._do(batch.partition, self._partition(batch.partition).receive(batch, tup.id, self._now()))

    def process_tick(self, tup: Any) -> None:
        """Do what is due even when no batch comes."""
        with self.lock:
            for number, partition in self.partitions.items():
                self._do(number, partition.tick(self._now()))
        self.ack(tup)

    def _partition(self, number: int) -> Partition:
        if number not in self.partitions:
            self.partitions[number] = Partition(self.settings.window, self.settings.snapshots.interval_ms / 1000)
        return self.partitions[number]

    def _do(self, number: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Ack):
                self.ack(action.handle)
            elif isinstance(action, Fail):
                self.fail(action.handle)
            elif isinstance(action, Load | Save):
                self.requests.put(Request(number, action))
            elif isinstance(action, Mark):
                self.records.put((number, action))
            elif isinstance(action, Skip):
                self.logger.warning("partition %d: no snapshot, %d offsets skipped", number, action.offsets)
            else:
                self._emit(*action)

    def _emit(self, handle: Any, batch: Batch, rows: list[ClosedWindow], baselines: Baselines) -> None:
        if rows:
            self.emit([batch.partition, batch.clock, to_text(rows)], stream="windows", anchors=[handle])
        values = [batch.partition, batch.epoch, batch.seq, baselines.to_text()]
        self.emit(values, stream="baselines", anchors=[handle])

    def _serve(self, requests: list[Request]) -> None:
        """In a thread of its own: talk to Cassandra."""
        if self.snapshots is None:
            self.snapshots = self.open_snapshots(self.settings)
        for number, what in requests:
            try:
                if isinstance(what, Save):
                    self.snapshots.save(number, *what)
                else:
                    self.found[number] = self._load(number)
            except (snapshot.SnapshotError, FatalError) as error:
                # The writer ends the process, or asks again: until a snapshot that can be read is there, the
                # bolt waits, and nothing is overwritten.
                self._tell(f"partition {number}: {error}")
                raise

    def _load(self, number: int) -> PartitionWindows:
        return snapshot.decode(self.snapshots.load(number), self.settings.window)

    def _served(self, requests: list[Request]) -> None:
        """In that thread, too: go on with what waited for Cassandra."""
        with self.lock:
            for number, what in requests:
                partition = self.partitions[number]
                if isinstance(what, Save):
                    self._do(number, partition.saved(what.position, self._now()))
                else:
                    windows = self.found.pop(number)
                    self.logger.info("partition %d goes on from offset %d", number, windows.position)
                    self._do(number, partition.loaded(windows, self._now()))

    def _write_clock(self, records: list[tuple[int, Mark]]) -> None:
        """In the clock writer's thread."""
        if self.clock is None:
            self.clock = self.open_clock(self.settings.kafka)
        for number, mark in records:
            self.clock.write(number, *mark)

    def _tell(self, problem: str) -> None:
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})

    def _now(self) -> float:
        return self.world.monotonic()
