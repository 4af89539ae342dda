"""How fast a full topic goes through the whole topology until all three stores have it.

The yardstick is kafka-python's bare poll() over the same topic in the same run: no Python consumer
can be faster than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from oda.settings import Settings


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


def topology_rate(settings: Settings, at_first: Callable[[], None] = lambda: None) -> Rate:
    """Wait for a topology that was just submitted to commit the whole topic.

    An offset is committed when every store has acknowledged what came of it. The clock starts at
    the first commit that is seen, since what came before it includes the start of the processes;
    `at_first` is called then.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.brokers.split(","), group_id=settings.kafka.group, enable_auto_commit=False
    )
    partitions = _partitions(consumer, settings)
    total = sum(consumer.end_offsets(partitions).values())
    first, began = 0, 0.0
    while True:
        done = sum(consumer.committed(partition) or 0 for partition in partitions)
        now = time.perf_counter()
        if not first and done:
            first, began = done, now
            at_first()
        if done == total:
            consumer.close()
            return Rate(total - first, now - began)
        time.sleep(0.05)


def _partitions(consumer: KafkaConsumer, settings: Settings) -> list[TopicPartition]:
    topic = settings.kafka.readings
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
