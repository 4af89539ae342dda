"""A broker that joins is given its share of each topic, one that goes hands it back; no replica more is moved."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import ClusterAuthorizationFailedError

from oda.errors import UserError
from oda.kafka import client, shares
from oda.kafka.shares import Replicas, with_share, without

NEW = 4


@st.composite
def topics(draw: st.DrawFn) -> Replicas:
    """On brokers 1, 2 and 3, as Kafka deals them out."""
    count, replication, first = draw(st.integers(1, 40)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    return {partition: [(first + partition + n) % 3 + 1 for n in range(replication)] for partition in range(count)}


def per_broker(topic: Replicas) -> Counter[int]:
    return Counter(broker for replicas in topic.values() for broker in replicas)


@given(topics())
def test_it_has_a_share_like_the_others_and_nothing_else_moves(topic: Replicas) -> None:
    after = topic | with_share(topic, NEW, 4)
    count = per_broker(after)
    assert count[NEW] == sum(map(len, topic.values())) // 4
    assert max(count.values()) - count[NEW] <= 2
    for partition, replicas in after.items():
        assert len(set(replicas)) == len(topic[partition])
        assert set(replicas) <= {*topic[partition], NEW}
    leaders = sum(replicas[0] == NEW for replicas in after.values())
    assert abs(leaders - len(topic) / 4) <= 1


@given(topics())
def test_who_has_its_share_is_given_no_more(topic: Replicas) -> None:
    after = topic | with_share(topic, NEW, 4)
    assert with_share(after, NEW, 4) == {}


@given(topics())
def test_one_that_goes_has_nothing_left_and_the_others_as_much_as_each_other(topic: Replicas) -> None:
    after = (given := topic | with_share(topic, NEW, 4)) | without(given, NEW, [1, 2, 3])
    count = per_broker(after)
    assert count[NEW] == 0
    assert {partition: len(set(replicas)) for partition, replicas in after.items()} == {
        partition: len(replicas) for partition, replicas in topic.items()
    }
    assert max(count.values()) - min(count[broker] for broker in (1, 2, 3)) <= 2


def test_a_topic_whose_every_broker_is_needed_loses_a_replica() -> None:
    assert without({0: [1, 2, 4]}, 4, [1, 2]) == {0: [1, 2]}


class Admin:
    """Of a Kafka that moves at once; it refuses topics called `refused`."""

    def __init__(self, topics: dict[str, Replicas]) -> None:
        self.topics = topics
        self.moves: list[dict[TopicPartition, list[int]]] = []

    def describe_cluster(self) -> Any:
        fenced = {"broker_id": 9, "is_fenced": True}
        return {"brokers": [fenced, *({"broker_id": broker, "is_fenced": False} for broker in (1, 2, 3, 4))]}

    def describe_topics(self) -> Any:
        return [
            {
                "name": name,
                "partitions": [{"partition_index": part, "replica_nodes": nodes} for part, nodes in topic.items()],
            }
            for name, topic in self.topics.items()
        ]

    def alter_partition_reassignments(self, moves: dict[TopicPartition, list[int]]) -> Any:
        self.moves.append(moves)
        for part, replicas in moves.items():
            self.topics[part.topic][part.partition] = replicas
        return {part: ClusterAuthorizationFailedError if part.topic == "refused" else None for part in moves}

    def list_partition_reassignments(self) -> Any:
        return {}

    def close(self) -> None:
        pass


def with_kafka(monkeypatch: pytest.MonkeyPatch, name: str) -> Admin:
    admin = Admin({name: {n: [1, 2, 3] for n in range(4)}})
    monkeypatch.setattr(client, "admin", lambda _: admin)
    return admin


def test_it_is_moved_once_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    admin, settings = with_kafka(monkeypatch, "readings"), SimpleNamespace(brokers="a:1")
    shares.give(settings, 4)  # type: ignore[arg-type]
    assert per_broker(admin.topics["readings"])[4] == 3
    shares.take(settings, 4)  # type: ignore[arg-type]
    assert per_broker(admin.topics["readings"]) == {1: 4, 2: 4, 3: 4}
    assert len(admin.moves) == 2


def test_what_kafka_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kafka(monkeypatch, "refused")
    with pytest.raises(UserError, match="Kafka does not move refused-0: ClusterAuthorizationFailedError"):
        shares.give(SimpleNamespace(brokers="a:1"), 4)  # type: ignore[arg-type]
