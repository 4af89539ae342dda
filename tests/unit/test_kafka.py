"""What every client of Kafka here has in common: where it is made, how a partition is chosen, what a reader sees."""

from __future__ import annotations

import ast
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.partitioner import DefaultPartitioner

from oda.errors import UserError
from oda.kafka import client, reader
from oda.kafka.partitioner import RememberingPartitioner
from oda.kafka.records import PartitionRecords, lean
from oda.settings import Kafka

ROOT = Path(__file__).parents[2]

CLIENTS = {"KafkaConsumer", "KafkaProducer", "KafkaAdminClient"}


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


class Client:
    """As much of one of kafka-python's clients as is looked at."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self._fetcher = SimpleNamespace()


@pytest.fixture
def _no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CLIENTS:
        monkeypatch.setattr(client, name, Client)


@pytest.mark.usefixtures("_no_kafka")
def test_every_reader_sees_only_what_was_committed() -> None:
    found = client.consumer(Kafka(brokers="a:1"), group_id="oda")
    assert (found.options["isolation_level"], found.options["group_id"]) == ("read_committed", "oda")
    assert found._fetcher.PartitionRecords is PartitionRecords
    assert issubclass(lean(found)._fetcher.PartitionRecords, PartitionRecords)


@pytest.mark.usefixtures("_no_kafka")
def test_every_producer_waits_for_all_replicas_and_chooses_partitions_alike() -> None:
    found = client.producer(Kafka(brokers="a:1"), linger_ms=5)
    assert (found.options["acks"], found.options["linger_ms"]) == ("all", 5)
    assert isinstance(found.options["partitioner"], RememberingPartitioner)


@pytest.mark.usefixtures("_no_kafka")
@pytest.mark.parametrize("make", [client.consumer, client.producer, client.admin])
def test_every_client_connects_alike(make: Any) -> None:
    options = make(Kafka(brokers="a:1,b:2")).options
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["bootstrap_timeout_ms"] == client.CONNECT_MS


@pytest.mark.parametrize("make", [client.consumer, client.producer, client.admin])
def test_a_kafka_that_is_away_is_an_error_that_names_the_setting(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise KafkaTimeoutError

    for name in CLIENTS:
        monkeypatch.setattr(client, name, away)
    with pytest.raises(UserError, match=r"no answer from Kafka at oda\.kafka\.brokers = a:1"):
        make(Kafka(brokers="a:1"))


def _names(tree: ast.AST) -> Iterator[str]:
    """Whatever is named in a source, by itself, as an attribute, imported, or as a text for getattr."""
    for node in ast.walk(tree):
        match node:
            case ast.alias(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                yield name.rpartition(".")[2]
            case ast.Constant(value=str(text)):
                yield text


def test_no_client_is_made_elsewhere() -> None:
    sources = [path for folder in ("src", "benchmarks", "topologies") for path in (ROOT / folder).rglob("*.py")]
    makers = {
        path.relative_to(ROOT).as_posix() for path in sources if CLIENTS & set(_names(ast.parse(path.read_text())))
    }
    assert makers == {"src/oda/kafka/client.py"}


# -- reading to the end --------------------------------------------------------------------------------

ONE, OTHER = TopicPartition("readings", 0), TopicPartition("readings", 1)


class Log:
    """A consumer of two partitions: what its polls return, each with the positions after it."""

    def __init__(self, *polls: tuple[dict[TopicPartition, list[int]], int, int]) -> None:
        self._polls = iter(polls)
        self._positions = {ONE: 0, OTHER: 0}

    def assignment(self) -> set[TopicPartition]:
        return {ONE, OTHER}

    def end_offsets(self, _: set[TopicPartition]) -> dict[TopicPartition, int]:
        return {ONE: 4, OTHER: 2}

    def position(self, part: TopicPartition) -> int:
        return self._positions[part]

    def seek(self, part: TopicPartition, position: int) -> None:
        self._positions[part] = position

    def poll(self, _: float) -> dict[TopicPartition, list[SimpleNamespace]]:
        found, *positions = next(self._polls, ({}, *self._positions.values()))
        self._positions = dict(zip((ONE, OTHER), positions, strict=True))
        return {part: [SimpleNamespace(offset=offset) for offset in offsets] for part, offsets in found.items()}


def read(log: Log, *arguments: Any) -> list[tuple[int, list[int]]]:
    return [
        (part.partition, [record.offset for record in records]) for part, records in reader.read_to_end(log, *arguments)
    ]


def test_the_end_is_a_position_and_what_comes_after_it_is_left_out() -> None:
    log = Log(
        ({OTHER: [0, 1, 2], ONE: [0]}, 1, 3),
        ({}, 2, 3),  # offset 1 holds no record
        ({OTHER: [3], ONE: [2]}, 3, 4),
        ({}, 4, 4),  # nor does the last one
        ({ONE: [4]}, 5, 4),
    )
    assert read(log) == [(1, [0, 1]), (0, [0]), (0, [2])]
    assert (log.position(ONE), log.position(OTHER)) == (4, 2), "what comes after it is still to be read"


def test_who_is_beyond_the_end_stays_there() -> None:
    log = Log()
    log.seek(OTHER, 9)
    assert read(log, {ONE: 0, OTHER: 2}) == []
    assert log.position(OTHER) == 9


def test_it_may_be_told_where_the_end_is() -> None:
    assert read(Log(({ONE: [0, 1]}, 2, 0)), {ONE: 1}) == [(0, [0])]
    assert read(Log(), {ONE: 0}) == []


def test_a_log_that_gives_nothing_more_is_told() -> None:
    log = Log(({ONE: [0, 1], OTHER: [0, 1]}, 2, 2))
    with pytest.raises(UserError, match=r"readings, partition 0: nothing after offset 2 .* though it ends at 4"):
        read(log, None, 0.0)


def test_what_comes_is_handed_on_until_a_moment() -> None:
    log = Log(({OTHER: [0, 1], ONE: [0]}, 1, 2), ({}, 1, 2), ({ONE: [1]}, 2, 2))
    found = reader.follow(log)
    assert [(part.partition, len(records)) for part, records in itertools.islice(found, 3)] == [(1, 2), (0, 1), (0, 1)]
    assert list(reader.follow(log, deadline=time.monotonic())) == []
