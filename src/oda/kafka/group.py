"""How far the topology's consumer group has come in one of its two logs, seen from outside."""

from __future__ import annotations

from kafka import TopicPartition

from oda.kafka import client
from oda.kafka.reader import partitions
from oda.settings import Kafka


class Group:
    """Positions by partition; each method asks Kafka, and raises kafka.errors.KafkaError when that does not answer.

    Args:
        settings: whose consumer group.
        topic: the log; that of readings if not given.
    """

    def __init__(self, settings: Kafka, topic: str | None = None) -> None:
        self._topic = topic or settings.readings
        self._consumer = client.consumer(settings, group_id=settings.group, enable_auto_commit=False)

    def committed(self) -> dict[TopicPartition, int]:
        """What comes before these offsets is in every store."""
        return {part: self._consumer.committed(part) or 0 for part in partitions(self._consumer, self._topic)}

    def ends(self) -> dict[TopicPartition, int]:
        """Of the log as it is now."""
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(partitions(self._consumer, self._topic))
        return ends

    def close(self) -> None:
        self._consumer.close()
