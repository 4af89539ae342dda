"""What would let kafka-python's clients stand still for good. Without the mends each test fails."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.net import manager
from kafka.net.selector import NetworkSelector
from kafka.producer import kafka as producer
from kafka.producer.transaction_manager import TransactionState
from kafka.protocol.metadata import MetadataResponse

from oda.kafka import client, leaders, mended

assert client  # which installs them

READINGS = TopicPartition("readings", 0)


def answer(leader: int, epoch: int = 5, topic_number: int = 1) -> Any:
    """Of a cluster whose brokers are 1 and 3, as it comes from there."""
    partition = MetadataResponse.MetadataResponseTopic.MetadataResponsePartition(
        error_code=0, partition_index=0, leader_id=leader, leader_epoch=epoch, replica_nodes=[1], isr_nodes=[1]
    )
    topic = MetadataResponse.MetadataResponseTopic(
        error_code=0, name="readings", topic_id=UUID(int=topic_number), is_internal=False, partitions=[partition]
    )
    brokers = [MetadataResponse.MetadataResponseBroker(node, "127.0.0.1", 9092, None) for node in (1, 3)]
    sent = MetadataResponse(brokers=brokers, cluster_id="c", controller_id=1, topics=[topic])
    return MetadataResponse.decode(sent.encode(version=12), version=12)


@pytest.fixture
def cluster() -> Iterator[Any]:
    net = NetworkSelector()
    yield manager.KafkaConnectionManager(net).cluster
    net.close()


def test_a_leader_that_died_while_the_broker_answered_is_none(cluster: Any) -> None:
    for leader, known in ((1, 1), (2, -1)):
        cluster.update_metadata(answer(leader))
        assert cluster.leader_for_partition(READINGS) == known


def test_a_leader_of_whom_a_broker_tells_is_asked_for_when_it_is_new(cluster: Any) -> None:
    cluster.update_metadata(answer(1))
    assert not cluster.update_partition_leader(READINGS, 2, 6)
    assert (cluster.leader_for_partition(READINGS), cluster.need_update) == (1, True)
    assert cluster.update_partition_leader(READINGS, 1, 6)


def test_a_leader_of_before_is_none_any_more(cluster: Any) -> None:
    for leader, epoch in ((1, 5), (3, 6), (1, 5)):
        cluster.update_metadata(answer(leader, epoch))
    assert (cluster.leader_for_partition(READINGS), cluster.leader_epoch_for_partition(READINGS)) == (3, 6)
    cluster.update_metadata(answer(1, 7))
    assert cluster.leader_for_partition(READINGS) == 1


def test_of_a_topic_that_was_made_anew_any_leader_is_newer(cluster: Any) -> None:
    cluster.update_metadata(answer(3, 6))
    cluster.update_metadata(answer(1, 0, topic_number=2))
    assert cluster.leader_for_partition(READINGS) == 1


def test_a_leader_that_was_heard_of_elsewhere_makes_those_of_before_none(cluster: Any) -> None:
    consumer = SimpleNamespace(_cluster=cluster)
    cluster.update_metadata(answer(1, 5))
    leaders.heard_of(consumer, READINGS, 5)
    assert cluster.leader_for_partition(READINGS) == 1
    leaders.heard_of(consumer, READINGS, 6)
    cluster.update_metadata(answer(1, 5))
    assert cluster.leader_for_partition(READINGS) == mended.NOBODY
    cluster.update_metadata(answer(3, 6))
    assert cluster.leader_for_partition(READINGS) == 3


def test_a_broker_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mended, "HANDSHAKE_SECONDS", 0.2)
    net = NetworkSelector()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        secured = {"security_protocol": "SSL", "ssl_context": ssl.create_default_context()}
        connections = manager.KafkaConnectionManager(net, bootstrap_servers=f"127.0.0.1:{port}", **secured)
        connection = connections.get_connection("bootstrap-0")
        net.poll(timeout_ms=60_000, future=connection.init_future)
        with pytest.raises(KafkaError, match="Handshake failed"):
            raise connection.init_future.exception or TimeoutError
    connections.close()
    net.close()


def test_a_producer_that_gave_up_what_a_broker_may_have_ends() -> None:
    sequences = producer.TransactionManager(None, 0, 100, (4, 0), None)
    sequences.init_producer_id()
    assert sequences.next_request_handler(has_incomplete_batches=False)
    sequences._transition_to(TransactionState.READY)
    sequences.reset_producer_id()
    assert sequences.has_fatal_error()
