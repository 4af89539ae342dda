"""How fast a full topic goes through the whole topology until all three stores have it.

The yardstick is kafka-python's bare poll() over the same topic in the same run: no Python consumer
can be faster than that.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from kafka import TopicPartition

from oda.kafka import connect_consumer, consumer
from oda.settings import Kafka, Settings

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
    with consumer(settings.kafka, [settings.kafka.readings], from_beginning=True) as client:
        total = sum(client.end_offsets(client.assignment()).values())
        seen, began = 0, time.perf_counter()
        while seen < total:
            seen += sum(map(len, client.poll(1000, max_records=settings.readings.max_batch).values()))
        return Rate(seen, time.perf_counter() - began)


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
    with closing(Group(settings.kafka)) as group:
        total = group.end()
        while group.committed() < total:
            time.sleep(0.05)
    return total


class Group:
    """How far the topology's consumer group has come in the readings topic: sums over its partitions."""

    def __init__(self, settings: Kafka) -> None:
        self._client = connect_consumer(settings, group_id=settings.group, enable_auto_commit=False)
        self._partitions = [TopicPartition(settings.readings, number) for number in range(settings.partitions)]

    def committed(self) -> int:
        """Readings that are committed."""
        return sum(self._client.committed(partition) or 0 for partition in self._partitions)

    def end(self) -> int:
        """Readings that the topic holds."""
        return sum(self._client.end_offsets(self._partitions).values())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def reading_since(settings: Settings, logs: Path) -> float:
    """When the spout of a topology takes on its first partition, seconds since 1970; waits for it."""
    while True:
        for log in logs.glob(f"workers-artifacts/{settings.kafka.group}-*/*/worker.log"):
            if found := _TAKEN_ON.search(log.read_text()):
                return datetime.fromisoformat(found[1]).timestamp()
        time.sleep(0.1)
