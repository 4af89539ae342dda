"""Faults of kafka-python 3.0.12 that let a client stand still for good, or go back to a leader of before, mended.

`install` comes before the first client. Each class takes the place of kafka-python's own in the module that makes it,
as there is no official way.
"""

from __future__ import annotations

import socket
from typing import Any

from kafka import TopicPartition
from kafka.cluster import ClusterMetadata
from kafka.errors import KafkaError
from kafka.net import manager
from kafka.net.transport import KafkaSSLTransport
from kafka.producer import kafka as producer
from kafka.producer.transaction_manager import TransactionManager

HANDSHAKE_SECONDS = 10.0
"""As long as kafka-python lets the connection before it take."""

NOBODY = -1
"""Leads a partition that has no leader."""


def install() -> None:
    manager.ClusterMetadata = _Metadata
    manager.KafkaSSLTransport = _Transport
    producer.TransactionManager = _Sequences


class _Metadata(ClusterMetadata):  # type: ignore[misc]
    """Knows no leader that it could not connect to, and none that is older than one that it knew.

    A broker lists the leaders first and the brokers that live then. One that dies in between leads and is none. For
    kafka-python that is an error, which its producer's thread meets again and again before it would read anything, so
    no newer metadata arrives, ever; and a consumer waits for the answer to a request that it could not send.

    A broker that the controller does not reach tells of the leaders of before, itself perhaps, and that one's log ends
    where it was left. Who has read on behind the next leader must not go back there: it would find its position beyond
    the end of the log. So of two leaders the one of the higher epoch counts, as long as it is the same topic (KIP-320).
    """

    def update_metadata(self, metadata: Any) -> None:
        brokers = {broker.node_id for broker in metadata.brokers}
        for topic in metadata.topics:
            known = self._partitions.get(topic.name, {}) if self.topic_id(topic.name) == topic.topic_id else {}
            for partition in topic.partitions:
                before = known.get(partition.partition_index)
                if before is not None and before.leader_epoch > partition.leader_epoch:
                    partition.leader_id, partition.leader_epoch = before.leader_id, before.leader_epoch
                if partition.leader_id not in brokers:
                    partition.leader_id = NOBODY  # as a broker says of one that has died before; who needs it asks
        super().update_metadata(metadata)

    def update_partition_leader(self, partition: TopicPartition, leader_id: int, leader_epoch: int) -> bool:
        if leader_id != NOBODY and self.broker_metadata(leader_id) is None:
            self.request_update()
            return False
        return bool(super().update_partition_leader(partition, leader_id, leader_epoch))


class _Transport(KafkaSSLTransport):  # type: ignore[misc]
    """Waits so long for a handshake and no longer: what is asked of a broker meanwhile has no limit of its own.

    A process that is stopped accepts connections, by its kernel, and says nothing.
    """

    async def handshake(self) -> None:
        limit = self._net.call_later(HANDSHAKE_SECONDS, self._break_off)
        try:
            await super().handshake()
        finally:
            self._net.cancel(limit)

    def _break_off(self) -> None:
        socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # not as TLS does, which would end it by an AttributeError


class _Sequences(TransactionManager):  # type: ignore[misc]
    """Ends where a batch that a broker may have got is given up, when `delivery_timeout_ms` is over.

    kafka-python takes the producer's id away then, so that no sequence number goes on after one that may be missing;
    but it asks for no new one, as it does so only at the beginning. Nothing more is sent and nothing fails, ever, and
    who flushes waits for as long. By a fatal error all that waits fails at once, and who sent it begins anew.
    """

    def reset_producer_id(self) -> None:
        self.transition_to_fatal_error(KafkaError("a batch was given up that a broker may have"))
