"""The remembering partitioner chooses as Kafka does, also when partitions are added."""

from __future__ import annotations

import os

from kafka.partitioner import DefaultPartitioner

from oda.kafka import RememberingPartitioner


class Cluster:
    """As much of kafka-python's metadata as a partitioner asks for."""

    def __init__(self, partitions: int) -> None:
        self.partitions = set(range(partitions))

    def topics(self) -> set[str]:
        return {"readings"}

    def partitions_for_topic(self, _: str) -> set[int]:
        return self.partitions

    available_partitions_for_topic = partitions_for_topic


def test_it_chooses_as_kafka_does() -> None:
    keys = [os.urandom(length) for length in range(1, 50)]
    for partitions in (1, 4, 5):
        for key in keys:
            message = ("readings", None, key, None, b"", Cluster(partitions))
            assert RememberingPartitioner().partition(*message) == DefaultPartitioner().partition(*message)
