"""The window bolt: runs each partition's state machine and keeps its snapshots durable."""

import threading
import time
from typing import NamedTuple

from streamparse import Bolt, Stream

from oda.core import snapshot
from oda.core.batch import Batch
from oda.core.partition import Ack, Fail, Partition
from oda.core.text import to_text
from oda.core.windows import PartitionWindows
from oda.kafka.clock import ClockWriter
from oda.settings import Settings
from oda.stores.background import BackgroundWriter, FatalError
from oda.stores.snapshots import SnapshotStore


class Load(NamedTuple):
    """Ask for a partition's newest snapshot."""

    partition: int


class Save(NamedTuple):
    """Make a snapshot durable."""

    partition: int
    position: int
    data: bytes


class WindowBolt(Bolt):
    """Emits `windows` (closed ones, to the sinks) and `baselines` (of a batch, to the anomaly bolt)."""

    auto_ack = False
    config = {"topology.tick.tuple.freq.secs": 1}
    outputs = [
        Stream(name="windows", fields=["partition", "clock", "rows"]),
        Stream(name="baselines", fields=["partition", "epoch", "seq", "rows"]),
    ]

    def initialize(self, storm_conf, context):
        """Start the writers; partitions are loaded when their first batch comes."""
        self.settings = Settings.from_options(storm_conf)
        self.partitions = {}
        self.early = {}  # partition -> batches and tuples, by identity, that wait for its snapshot to be loaded
        self.saving = {}  # partition -> when the newest save was begun
        self.in_flight = set()
        self.lock = threading.Lock()  # the store's thread emits and acknowledges, too
        self.store = self.clock = None
        self.loaded = {}
        forever, no_linger = float("inf"), 0.0
        self.writer = BackgroundWriter(self._store, self._stored, forever, no_linger, self.logger, self._tell)
        self.clock_writer = BackgroundWriter(
            self._write_clock, lambda _: None, forever, no_linger, self.logger, self._tell
        )

    def process(self, tup):
        """Apply a batch, or keep it until the snapshot of its partition is there."""
        if tup.stream == "clock":
            self._look_for_silence(*tup.values)
            self.ack(tup)
            return
        batch = Batch.from_tuple(tup.values)
        number = batch.partition
        with self.lock:
            if number in self.partitions:
                self._receive(batch, tup.id)
                return
            if number not in self.early:
                self.early[number] = {}
                self.writer.put(Load(number))
            _, former = self.early[number].pop(batch.identity, (None, None))
            if former is not None:
                self.fail(former)  # Storm has given it up, or this replay of it would not be here
            self.early[number][batch.identity] = batch, tup.id

    def process_tick(self, tup):
        """Save what is due even when no batch comes, as when the spout is held back."""
        with self.lock:
            for number in self.partitions:
                self._save_if_due(number)
        self.ack(tup)

    def _look_for_silence(self, number, epoch, position, clock):
        with self.lock:
            partition = self.partitions.get(number)
            through = partition.silent(epoch, position, clock) if partition else {}
        if through:
            self.clock_writer.put((number, position, through))

    def _write_clock(self, records):
        """In the clock writer's thread."""
        if self.clock is None:
            self.clock = ClockWriter(self.settings.kafka)
        for record in records:
            self.clock.write(*record)

    def _receive(self, batch, handle):
        """A tuple's id is handle enough; its payload must not be kept until it is acknowledged."""
        number = batch.partition
        partition = self.partitions[number]
        lost = partition.lost
        self._do(partition.receive(batch, handle))
        if partition.lost > lost:
            self.logger.warning("partition %d: no snapshot, starts at offset %d", number, partition.windows.position)
        self._save_if_due(number)

    def _do(self, actions):
        for action in actions:
            if isinstance(action, Ack):
                self.ack(action.handle)
                continue
            if isinstance(action, Fail):
                self.fail(action.handle)
                continue
            handle, batch, rows, baselines = action
            if rows:
                values = [batch.partition, batch.clock, to_text(rows)]
                self.emit(values, stream="windows", anchors=[handle])
            values = [batch.partition, batch.epoch, batch.seq, baselines.to_text()]
            self.emit(values, stream="baselines", anchors=[handle])

    def _save_if_due(self, number):
        partition = self.partitions[number]
        if number in self.in_flight or not partition.is_dirty:
            return
        now = time.monotonic()
        if now >= self.saving.get(number, 0) + self.settings.snapshots.interval_ms / 1000:
            self.saving[number] = now
            self.in_flight.add(number)
            self.writer.put(Save(number, partition.windows.position, snapshot.encode(partition.windows)))

    def _store(self, requests):
        """In the writer's thread: talk to Cassandra."""
        if self.store is None:
            self.store = SnapshotStore(self.settings)
        for request in requests:
            try:
                self._serve(request)
            except (snapshot.SnapshotError, FatalError) as error:
                # The writer ends the process, or asks again: until a snapshot that can be read is there, the
                # bolt waits, and nothing is overwritten.
                self._tell(f"partition {request.partition}: {error}")
                raise

    def _serve(self, request):
        if isinstance(request, Save):
            self.store.save(*request)
            return
        rules = self.settings.window
        data = self.store.load(request.partition)
        windows = PartitionWindows(rules) if data is None else snapshot.decode(data, rules)
        self.loaded[request.partition] = windows

    def _stored(self, requests):
        """In the writer's thread: go on with what waited for Cassandra."""
        with self.lock:
            for request in requests:
                if isinstance(request, Load):
                    self._begin(request.partition, self.loaded.pop(request.partition))
                else:
                    self.in_flight.discard(request.partition)
                    self._do(self.partitions[request.partition].saved(request.position))
                    self._save_if_due(request.partition)

    def _tell(self, problem):
        """For the Storm UI."""
        self.send_message({"command": "error", "msg": problem})

    def _begin(self, number, windows):
        self.partitions[number] = Partition(windows)
        self.logger.info("partition %d goes on from offset %d", number, windows.position)
        for batch, handle in self.early.pop(number).values():
            self._receive(batch, handle)
