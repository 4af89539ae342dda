"""The spout: records from Kafka as batches, committed when everything before them is acknowledged."""

from typing import Any

from streamparse import Spout, Stream

from oda.core import log
from oda.core.batch import FIELDS, Batch
from oda.core.kinds import Rejected
from oda.core.log import Meaning, Record
from oda.core.pace import Pace
from oda.core.progress import Progress
from oda.core.text import to_text
from oda.kafka.rules import PatientRules
from oda.kafka.source import KafkaSource
from oda.settings import Settings
from oda.world import WORLD

_POLL_MS = 100
"""At most: it ends as soon as there is a record."""

_PAUSED_MS = 20
"""While none is read: then what is waited for are acknowledgements, which come between two calls."""

_COMMIT_SECONDS = 1.0
_CROWDED_SECONDS = 0.5
_REPORT_SECONDS = 60.0
_FIRST_BATCHES = 5
"""On their way before it is known how fast the stores are: what the slowest ones take well within Storm's time-out."""

_MAX_BYTES = 2**20
"""Most bytes of messages in one tuple that has rejected ones, beyond its last; and of a rejected message's key and
value, each.

A reading is small in a tuple, whatever else its message holds. Kafka takes at most 1 MiB, unless its topic says
otherwise: the copy in the topic of rejected ones must be one that Kafka takes for sure.
"""


class ReadingsSpout(Spout):
    """Emits `readings` (batches), `rejected` (messages that are no readings) and `clock`.

    The clock tells a time of this run's clock (ms) as of which the whole log had been read, up to `position`.
    """

    outputs = [
        Stream(name="readings", fields=FIELDS),
        Stream(name="rejected", fields=["partition", "clock", "rows"]),
        Stream(name="clock", fields=["partition", "epoch", "position", "committed", "clock"]),
    ]

    world = WORLD
    open_source: Any = KafkaSource
    open_rules: Any = PatientRules

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Connect; partitions are taken on at the first tick."""
        self.settings = Settings.from_options(storm_conf)
        peers = sorted(int(task) for task, name in context["task->component"].items() if name == context["componentid"])
        topic = self.topic(self.settings)
        self.source = self.open_source(self.settings, topic, peers.index(context["taskid"]), len(peers), self.logger)
        self.rules = self.open_rules(self.settings.kafka, self.logger)
        self.partitions: dict[int, Progress] = {}
        self.epoch = self.world.draw()
        # Of this run: it only goes forward, whatever is done to the machine's. What arrives is compared with it.
        self.began = int((self.world.wall() - self.world.monotonic()) * 1000)
        self.seq = 0
        self.clocks: set[int] = set()  # partitions whose last clock is not acknowledged: another would tell nothing new
        self.ends: dict[int, int] = {}
        self.ends_clock = 0
        self.replayed = 0
        self.next_poll = self.next_tick = self.next_commit = self.next_report = 0.0
        most = self.settings.readings.backlog
        self.timeout: float = storm_conf["topology.message.timeout.secs"]
        self.pace = Pace(min(most // 2, _FIRST_BATCHES * self.settings.readings.max_batch), most, self.timeout / 3)
        self.crowd = (storm_conf.get("topology.max.spout.pending") or float("inf")) / 2

    @staticmethod
    def topic(settings: Settings) -> str:
        """The one that is read."""
        return settings.kafka.readings

    def next_tuple(self) -> None:
        """Emit what has arrived, then what is due by the clock."""
        now = self.world.monotonic()
        if problem := self.source.changed():
            self._stand_still(problem, now)
            return
        paused = now < self.next_poll or self._unacked() >= self.pace.limit(now)
        for partition, records in self.source.poll(_PAUSED_MS if paused else _POLL_MS, paused).items():
            self._emit_records(partition, records)
        if not paused and sum(progress.batches for progress in self.partitions.values()) > self.crowd:
            # Something is slow. Larger batches let Storm's limit on their number last longer.
            self.next_poll = now + _CROWDED_SECONDS
        if now >= self.next_commit:
            self.next_commit = now + _COMMIT_SECONDS
            self._commit()
        if now >= self.next_tick:
            self.next_tick = now + self.settings.readings.clock_ms / 1000
            self._tick()
        self._emit_clocks()

    def ack(self, tup_id: str) -> None:
        """Note that a batch is done on one stream."""
        partition, number, stream, _ = tup_id.split(":")
        if stream == "clock":
            self.clocks.discard(int(partition))
            return
        self.pace.acked(self.partitions[int(partition)].ack(int(number), stream), self.world.monotonic())

    def fail(self, tup_id: str) -> None:
        """Emit batches again as they were, on the stream that failed; a clock that is old tells nothing."""
        partition, number, stream, seq = tup_id.split(":")
        if stream == "clock":
            self.clocks.discard(int(partition))
            return
        replay = self.partitions[int(partition)].fail(int(number), stream, int(seq), self.world.monotonic())
        if replay.timed_out:
            self.pace.timed_out()
        self.replayed += len(replay.batches)
        for again in replay.batches:
            self._emit(int(partition), again, stream)

    def _stand_still(self, problem: str, now: float) -> None:
        """Nothing is emitted, nothing committed; the Storm UI and the log say why, time and again."""
        if now >= self.next_report:
            self.next_report = now + _REPORT_SECONDS
            self.logger.error(problem)
            self.send_message({"command": "error", "msg": problem})
        self.world.sleep(_POLL_MS / 1000)

    def _unacked(self) -> int:
        return sum(progress.unacked for progress in self.partitions.values())

    def _emit_records(self, partition: int, records: list[Record]) -> None:
        end = self.source.position(partition)
        meaning, rejected = self._read(records)
        if not rejected:
            self._emit_new(partition, end, meaning, [])
            return
        pieces = _pieces(records)
        ends = [*(piece[0].offset for piece in pieces[1:]), end]
        for piece, end_of_piece in zip(pieces, ends, strict=True):
            self._emit_new(partition, end_of_piece, *self._read(piece))

    def _read(self, records: list[Record]) -> tuple[Meaning, list[Rejected]]:
        """What they mean, and those that mean nothing."""
        max_ahead = self.settings.readings.max_ahead_ms
        meaning = log.read(records, self.settings.kafka.group, max_ahead, self.rules.read)
        return meaning, [_rejected(records[number], reason) for number, reason in meaning.rejected.items()]

    def _emit_new(self, partition: int, end: int, meaning: Meaning, rejected: list[Rejected]) -> None:
        progress = self.partitions[partition]
        place = partition, self.epoch, 0, progress.position, end, progress.committed, self._now()
        batch = Batch(*place, meaning.readings, meaning.marks, meaning.rules, told=meaning.told)
        number = progress.add(batch, rejected)
        self._emit(partition, number, "readings")
        if rejected:
            self._emit(partition, number, "rejected")

    def _emit(self, partition: int, number: int, stream: str) -> None:
        self.seq += 1
        sent = self.partitions[partition].emit(number, stream, self.seq, self.world.monotonic())
        if stream == "readings":
            values = sent.batch._replace(seq=self.seq).to_tuple()
        else:
            values = [partition, sent.batch.clock, to_text(sent.rejected)]
        self.emit(values, tup_id=f"{partition}:{number}:{stream}:{self.seq}", stream=stream)

    def _commit(self) -> None:
        offsets = {
            partition: progress.committable
            for partition, progress in self.partitions.items()
            if progress.committable > progress.committed
        }
        if offsets and self.source.commit(offsets):
            for partition, offset in offsets.items():
                self.partitions[partition].committed = offset

    def _tick(self) -> None:
        starts = self.source.new_partitions(set(self.partitions))
        if without := starts.keys() | self.source.overtaken():  # a rule record may be what they lack
            self.rules.repeat(without)
        for partition, start in starts.items():
            self.logger.info("partition %d from offset %d", partition, start)
            self.partitions[partition] = Progress(start, self.timeout)
        if self.replayed:
            self.logger.warning("%d batches failed, and were emitted again", self.replayed)
            self.replayed = 0
        self.ends_clock = self._now()
        self.ends = self.source.ends()

    def _emit_clocks(self) -> None:
        """A clock for each partition that has been read up to where its log ended at the tick."""
        for partition, end in list(self.ends.items()):
            position = self.source.position(partition)
            if position < end:
                continue
            del self.ends[partition]
            if position > self.partitions[partition].position:  # only markers of transactions there
                self._emit_new(partition, position, log.NOTHING, [])
            if partition not in self.clocks:
                self.clocks.add(partition)
                progress = self.partitions[partition]
                values = [partition, self.epoch, progress.position, progress.committed, self.ends_clock]
                self.emit(values, tup_id=f"{partition}:0:clock:0", stream="clock")

    def _now(self) -> int:
        return self.began + int(self.world.monotonic() * 1000)


def _pieces(records: list[Record]) -> list[list[Record]]:
    """Records of one partition, cut where a tuple of them would become too large."""
    pieces: list[list[Record]] = []
    size = _MAX_BYTES
    for record in records:
        if size >= _MAX_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(record)
        size += len(record.key or b"") + len(record.value or b"")
    return pieces


def _rejected(record: Record, reason: str) -> Rejected:
    parts = [record.key, record.value]
    if any(part is not None and len(part) > _MAX_BYTES for part in parts):
        reason += f" (more than {_MAX_BYTES} bytes: the rest is not copied)"
    return Rejected(record.offset, reason, *(part and part[:_MAX_BYTES] for part in parts))
