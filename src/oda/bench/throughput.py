"""How fast a full topic goes through the whole topology until all three stores have it.

The yardstick is kafka-python's bare poll() over the same topic in the same run: no Python consumer
can be faster than that.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from oda.settings import Settings

_TAKEN_ON = re.compile(r"^(\S+ \S+) .* partition \d+ from offset", re.MULTILINE)


class Rate(NamedTuple):
    """Readings over seconds."""

    readings: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Readings a second."""
        return self.readings / self.seconds


def poll_rate(settings: Settings) -> Rate:
    """Read the whole topic with bare poll()."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.brokers.split(","), enable_auto_commit=False)
    partitions = _partitions(consumer, settings)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    total = sum(consumer.end_offsets(partitions).values())
    seen, began = 0, time.perf_counter()
    while seen < total:
        seen += sum(map(len, consumer.poll(1000, max_records=settings.readings.max_batch).values()))
    took = time.perf_counter() - began
    consumer.close()
    return Rate(seen, took)


def topology_rate(settings: Settings, logs: Path) -> Rate:
    """Wait for a topology that was just submitted to commit the whole topic.

    An offset is committed when every store has acknowledged what came of it. The clock starts when the first
    partition is taken on. No commit and no result would do: the spout reads far ahead of both.

    Args:
        settings: the topology's.
        logs: the local cluster's.
    """
    began = reading_since(settings, logs)
    total = wait_for_commits(settings)
    return Rate(total, time.time() - began)


def wait_for_commits(settings: Settings) -> int:
    """Return when all that the topic holds now is committed: how many readings that is."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.brokers.split(","), group_id=settings.kafka.group, enable_auto_commit=False
    )
    partitions = _partitions(consumer, settings)
    total = int(sum(consumer.end_offsets(partitions).values()))
    while sum(consumer.committed(partition) or 0 for partition in partitions) < total:
        time.sleep(0.05)
    consumer.close()
    return total


def reading_since(settings: Settings, logs: Path) -> float:
    """When the spout of a topology takes on its first partition, seconds since 1970; waits for it."""
    while True:
        for log in logs.glob(f"workers-artifacts/{settings.kafka.group}-*/*/worker.log"):
            if found := _TAKEN_ON.search(log.read_text()):
                return datetime.fromisoformat(found[1]).timestamp()
        time.sleep(0.1)


def _partitions(consumer: KafkaConsumer, settings: Settings) -> list[TopicPartition]:
    topic = settings.kafka.readings
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
