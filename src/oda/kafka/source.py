"""The spout's end of Kafka: which partitions are ours, their records, their committed offsets.

Partitions are assigned by hand: no consumer group rebalances, so a partition never moves while its
windows are open. The group only keeps the offsets.

Results are identified by offsets, so a log that is not the one that was read so far must not be read on from where
that was left: `changed` tells.
"""

from __future__ import annotations

import logging
import threading
import time
from logging import Logger
from typing import Any
from uuid import UUID

import tenacity
from kafka import TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from oda.errors import UserError
from oda.kafka import client, leaders
from oda.kafka.problems import HeldUp, lost_its_end, made_anew
from oda.kafka.records import Record, lean
from oda.kafka.topics import create_topics
from oda.settings import Settings
from oda.stores.origin import log_of_results

_RPC_MS = 5_000

_MOST_TOLD = 100
"""Records of the log of members in one batch: each may have several hundred of these."""


class KafkaSource:
    """Reads the partitions of one spout task; not safe for threads.

    It begins when Cassandra has told that the stored results, if any, are of this log.

    Args:
        settings: addresses, group, size of batches.
        topic: what it reads.
        task: this task's number, from 0, of `tasks`.
        log: where losses that Kafka's retention caused are reported.
    """

    def __init__(self, settings: Settings, topic: str, task: int, tasks: int, log: Logger) -> None:
        kafka = settings.kafka
        create_topics(kafka)
        self._settings, self._topic, self._task, self._tasks, self._log = settings, topic, task, tasks, log
        self._assigned: list[TopicPartition] = []
        self._paused = False
        self._lost: str | None = None
        self._overtaken: set[int] = set()
        self._held = HeldUp(log.warning)
        consumer = client.consumer(
            kafka,
            group_id=kafka.group,
            enable_auto_commit=False,
            # Where to go on when our position is not in the log is not for kafka-python to choose.
            auto_offset_reset="none",
            max_poll_records=settings.readings.max_batch if topic == kafka.readings else _MOST_TOLD,
            # A waiting fetch delays commits on the same connection by up to this.
            fetch_max_wait_ms=100,
            # How soon new partitions, and a topic that was made anew, are noticed.
            metadata_max_age_ms=2_000,
        )
        self._consumer = lean(consumer)
        # The public methods leave out the leader's epoch at a position, by which brokers tell another log.
        self._positions = consumer._subscription
        self._log_id: UUID | None = None
        consumer.partitions_for_topic(self._topic)
        found = client.topic_id(consumer, self._topic)
        if found is None:
            raise UserError(f"Kafka tells no id of topic {self._topic}: is it older than 2.8?")
        # Cassandra may be away for long.
        threading.Thread(target=self._ask_cassandra, args=(found,), daemon=True).start()

    def _ask_cassandra(self, log_id: UUID) -> None:
        again = tenacity.Retrying(
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=tenacity.before_sleep_log(self._log, logging.WARNING),
        )
        self._log_id = again(log_of_results, self._settings, self._topic, log_id)

    def changed(self) -> str | None:
        """What happened to the log, and the way out; None if it is the one that the stored results are of.

        Nothing of it may be emitted or committed then.
        """
        if self._assigned and client.topic_id(self._consumer, self._topic) is None:  # perhaps just a broker that starts
            return f"topic {self._topic} is gone: was it deleted? A new one is another log: docs/upgrades.md"
        return self._made_anew() or self._lost

    def _made_anew(self) -> str | None:
        now = client.topic_id(self._consumer, self._topic)
        if self._log_id is None or now in (None, self._log_id):
            return None
        return made_anew(self._topic, self._log_id, now)

    def new_partitions(self, known: set[int]) -> dict[int, int]:
        """Take on partitions of ours that are not in `known`; returns each with its first position."""
        there = self._consumer.partitions_for_topic(self._topic)
        if self._log_id is None or self.changed():
            return {}
        ours = {partition for partition in there if _task_of(partition, self._tasks) == self._task}
        starts = {self._tp(partition): self._start(self._tp(partition)) for partition in sorted(ours - known)}
        if starts:
            self._assigned = [self._tp(partition) for partition in ours | known]
            self._consumer.assign(self._assigned)
            self._consumer.resume(*self._assigned)
            self._paused = False
            for tp, start in starts.items():
                leaders.heard_of(self._consumer, tp, start.leader_epoch)
                self._positions.seek(tp, start)
                self._lost = start.metadata or self._lost
        return {tp.partition: start.offset for tp, start in starts.items()}

    def overtaken(self) -> set[int]:
        """Partitions of ours of which retention took something that was not read; each is told once."""
        found, self._overtaken = self._overtaken, set()
        return found

    def poll(self, timeout_ms: int, paused: bool) -> dict[int, list[Record]]:
        """Records by partition, in log order; returns as soon as there are any.

        While `paused` it only keeps the connection going.
        """
        if paused != self._paused:
            self._paused = paused
            (self._consumer.pause if paused else self._consumer.resume)(*self._assigned)
        if not self._assigned:
            time.sleep(timeout_ms / 1000)
            return {}
        try:
            polled = self._consumer.poll(timeout_ms)
        except OffsetOutOfRangeError as error:
            self._go_on_from(error.args[0])
            return {}
        except LogTruncationError as error:
            for tp in error.divergent_offsets:
                self._give_up(tp)
            return {}
        # What is left out here is never read again: so not while the topic is only gone.
        return {} if self._made_anew() else {tp.partition: records for tp, records in polled.items()}

    def position(self, partition: int) -> int:
        """Everything before it has been returned by `poll` (or is no record)."""
        return int(self._positions.position(self._tp(partition)).offset)

    def ends(self) -> dict[int, int]:
        """The end of each partition's log as of now, as far as it can be read; empty when the brokers do not answer."""
        try:
            ends = self._consumer.end_offsets(self._assigned, timeout_ms=_RPC_MS)
        except KafkaError as error:
            self._log.warning("no end offsets: %r", error)
            return {}
        for tp, end in ends.items():
            self._held.look(tp, end, self._consumer.highwater(tp) or 0, time.monotonic())
        # A position beyond the end is no sign that all was read: the log lost its end, or a version of ours that
        # did not wait for transactions has read on.
        return {tp.partition: end for tp, end in ends.items() if self.position(tp.partition) <= end}

    def commit(self, offsets: dict[int, int]) -> bool:
        """Commit offsets by partition; True when Kafka has confirmed them."""
        try:
            self._consumer.commit(
                {self._tp(partition): self._place(partition, offset) for partition, offset in offsets.items()},
                timeout_ms=_RPC_MS,
            )
        except KafkaError as error:
            self._log.warning(
                "offsets not committed, will be tried again: %s: %s",
                type(error).__name__,
                client.said(self._settings.kafka, error),
            )
            return False
        return True

    def _place(self, partition: int, offset: int) -> OffsetAndMetadata:
        """With the epoch of what was read last: a log that lost that is another one."""
        return OffsetAndMetadata(offset, "", self._positions.position(self._tp(partition)).leader_epoch)

    def _go_on_from(self, positions: dict[TopicPartition, int]) -> None:
        """The log does not have these positions."""
        try:
            self._consumer.topics()  # a topic that was made anew has no such position either
            beginnings = self._consumer.beginning_offsets(list(positions), timeout_ms=_RPC_MS)
        except KafkaError as error:  # it will be out of range again
            self._log.warning("no beginning offsets: %r", error)
            return
        for tp, position in positions.items():
            lost = int(beginnings[tp]) - position
            if lost <= 0:
                self._give_up(tp)
                continue
            self._log.error(
                "retention overtook partition %d: %d offsets from %d on are lost", tp.partition, lost, position
            )
            self._consumer.seek(tp, position + lost)
            self._overtaken.add(tp.partition)

    def _give_up(self, tp: TopicPartition) -> None:
        """Noted beside the committed offset, too: that may be within the log, and the windows' state beyond it."""
        self._lost = lost_its_end(self._topic, tp.partition, self.position(tp.partition))
        try:
            committed = self._start(tp)
            note = OffsetAndMetadata(committed.offset, self._lost, committed.leader_epoch)
            self._consumer.commit({tp: note}, timeout_ms=_RPC_MS)
        except KafkaError as error:
            self._log.warning("this could not be noted in Kafka: %r", error)

    def _start(self, tp: TopicPartition) -> OffsetAndMetadata:
        committed: Any = self._consumer.committed(tp, metadata=True)
        return committed or OffsetAndMetadata(int(self._consumer.beginning_offsets([tp])[tp]), "", -1)

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _task_of(partition: int, tasks: int) -> int:
    """As Storm's fields grouping chooses among the tasks of a bolt (`TupleUtils.chooseTaskIndex` of Storm 2).

    Storm deals executors to workers in turn. So where each component has a multiple of `topology.workers` executors,
    whatever has to do with a partition is in one worker.
    """
    return (31 + partition) % tasks
