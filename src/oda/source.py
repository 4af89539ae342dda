"""The spout's end of Kafka: which partitions are ours, their records, their committed offsets.

Partitions are assigned by hand: no consumer group rebalances, so a partition never moves while its
windows are open. The group only keeps the offsets.
"""

from __future__ import annotations

import time
from logging import Logger

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from oda.kafka import create_topics
from oda.records import Record, lean
from oda.settings import Kafka

_RPC_MS = 5_000


class KafkaSource:
    """Reads the partitions of one spout task; not safe for threads.

    Args:
        config: addresses, topic, group.
        max_records: most records of one poll.
        task: this task's number, from 0, of `tasks`.
        log: where losses that Kafka's retention caused are reported.
    """

    def __init__(self, config: Kafka, max_records: int, task: int, tasks: int, log: Logger) -> None:
        create_topics(config)
        self._topic, self._task, self._tasks, self._log = config.readings, task, tasks, log
        self._assigned: list[TopicPartition] = []
        self._paused = False
        consumer = KafkaConsumer(
            bootstrap_servers=config.brokers.split(","),
            group_id=config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=max_records,
            # A waiting fetch delays commits on the same connection by up to this.
            fetch_max_wait_ms=100,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=10_000,
        )
        self._consumer = lean(consumer)

    def new_partitions(self, known: set[int]) -> dict[int, int]:
        """Take on partitions of ours that are not in `known`; returns each with its first position."""
        there = self._consumer.partitions_for_topic(self._topic)
        ours = {partition for partition in there if _task_of(partition, self._tasks) == self._task}
        starts = {partition: self._start(self._tp(partition)) for partition in sorted(ours - known)}
        if starts:
            positions = {partition: self._consumer.position(self._tp(partition)) for partition in known}
            self._assigned = [self._tp(partition) for partition in ours | known]
            self._consumer.assign(self._assigned)
            self._paused = False
            for partition, position in {**positions, **starts}.items():
                self._consumer.seek(self._tp(partition), position)
        return starts

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
        return {tp.partition: records for tp, records in self._consumer.poll(timeout_ms).items()}

    def position(self, partition: int) -> int:
        """Everything before it has been returned by `poll` (or is no record)."""
        return int(self._consumer.position(self._tp(partition)))

    def ends(self) -> dict[int, int]:
        """The end of each partition's log as of now; empty when the brokers do not answer."""
        try:
            ends = self._consumer.end_offsets(self._assigned, timeout_ms=_RPC_MS)
        except KafkaError as error:
            self._log.warning("no end offsets: %r", error)
            return {}
        return {tp.partition: end for tp, end in ends.items()}

    def commit(self, offsets: dict[int, int]) -> bool:
        """Commit offsets by partition; True when Kafka has confirmed them."""
        try:
            self._consumer.commit(
                {self._tp(partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()},
                timeout_ms=_RPC_MS,
            )
        except KafkaError as error:
            self._log.warning("offsets not committed, will be tried again: %r", error)
            return False
        return True

    def report_gap(self, partition: int, position: int) -> None:
        """Log an error if retention took offsets before `position` could read them."""
        tp = self._tp(partition)
        lost = int(self._consumer.beginning_offsets([tp])[tp]) - position
        if lost > 0:
            self._log.error(
                "retention overtook partition %d: %d offsets from %d on are lost", partition, lost, position
            )

    def _start(self, tp: TopicPartition) -> int:
        beginning = int(self._consumer.beginning_offsets([tp])[tp])
        committed = self._consumer.committed(tp)
        if committed is None:
            return beginning
        if committed < beginning:
            self.report_gap(tp.partition, committed)
        return int(committed)

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _task_of(partition: int, tasks: int) -> int:
    """As Storm's fields grouping chooses among the tasks of a bolt (`TupleUtils.chooseTaskIndex` of Storm 2).

    Storm deals executors to workers in turn. So where each component has a multiple of `topology.workers` executors,
    whatever has to do with a partition is in one worker.
    """
    return (31 + partition) % tasks
