"""What every client of Kafka here has in common: how a partition is chosen, what a reader gets to see."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kafka.partitioner import DefaultPartitioner

from oda import kafka
from oda.kafka import RememberingPartitioner, connect_consumer
from oda.records import lean
from oda.settings import Kafka

SOURCE = Path(__file__).parents[2] / "src"


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


class Consumer:
    """As much of a KafkaConsumer as is looked at."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self._fetcher = SimpleNamespace()


def test_every_reader_sees_only_what_was_committed(monkeypatch) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", Consumer)
    found = connect_consumer(Kafka(brokers="a:1"), group_id="oda")
    assert (found.options["isolation_level"], found.options["group_id"]) == ("read_committed", "oda")
    assert found._fetcher.PartitionRecords is kafka.PartitionRecords
    assert issubclass(lean(found)._fetcher.PartitionRecords, kafka.PartitionRecords)


def test_no_reader_is_made_elsewhere() -> None:
    makers = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.alias) and node.name.startswith("KafkaConsumer")
    }
    assert makers == {"oda/kafka.py"}
