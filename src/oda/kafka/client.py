"""The one door to Kafka: every consumer, producer and admin client of the project is made here.

So whatever all connections have in common (addresses, time-outs, what a reader may see) is said once. What comes back
are kafka-python's own clients; they reconnect by themselves. Each function takes kafka-python's options besides, and
raises UserError when Kafka can't be reached, or `oda.kafka.brokers` is no list of addresses.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import AuthorizationError, KafkaError

from oda.errors import UserError
from oda.kafka import account, mended
from oda.kafka.partitioner import RememberingPartitioner
from oda.kafka.records import PartitionRecords
from oda.settings import Kafka
from oda.sockets import OPTIONS

CONNECT_MS = 10_000
"""How long the first connection may take, ms."""

mended.install()


def consumer(settings: Kafka, **options: Any) -> Any:
    """A KafkaConsumer that reads what is committed only.

    What an aborted transaction wrote does not exist for it. Of an open transaction's partition nothing exists yet
    from its first record on, and `end_offsets` are such: Kafka's last stable offsets.
    """
    defaults = {"isolation_level": "read_committed", "allow_auto_create_topics": False}
    client = _connect(KafkaConsumer, settings, defaults | options)
    client._fetcher.PartitionRecords = PartitionRecords
    return client


def producer(settings: Kafka, **options: Any) -> Any:
    """A KafkaProducer whose messages count as sent when all replicas in sync have them."""
    defaults = {"acks": "all", "partitioner": RememberingPartitioner(), "metrics_enabled": False}
    return _connect(KafkaProducer, settings, defaults | options)


def admin(settings: Kafka, **options: Any) -> Any:
    return _connect(KafkaAdminClient, settings, options)


@contextmanager
def explained(settings: Kafka) -> Iterator[None]:
    """Turns what kafka-python raises within into a UserError that says which Kafka it was."""
    try:
        yield
    except KafkaError as error:
        raise UserError(f"Kafka at oda.kafka.brokers = {settings.brokers}: {said(settings, error)}") from None


def said(settings: Kafka, error: KafkaError) -> str:
    """What a broker said; of a right that is missing, whose it is."""
    if isinstance(error, AuthorizationError):
        return f"{who(settings)} lacks a right, which `oda admin` gives ({error})"
    return str(error)


def who(settings: Kafka) -> str:
    """As whom we are known to Kafka, for errors."""
    security = settings.security
    if security.user:
        return f"{security.setting}.user = {security.user}"
    return f"{security.setting}.certificate = {security.certificate}" if security.certificate else "an unnamed client"


def topic_id(client: Any, topic: str) -> uuid.UUID | None:
    """Kafka's id of a topic, as of the newest metadata of a consumer; None if there is no such topic in it.

    A topic that is deleted and made again has another one. kafka-python has no public way to ask a consumer.
    """
    return cast("uuid.UUID | None", client._cluster.topic_id(topic))


def user_of(client: Any) -> str | None:
    """As whom one of kafka-python's clients connects; None without an account."""
    return cast("str | None", client.config["sasl_plain_username"])


def _connect(kind: Callable[..., Any], settings: Kafka, options: dict[str, Any]) -> Any:
    connection = {
        "bootstrap_servers": settings.brokers.split(","),
        "bootstrap_timeout_ms": CONNECT_MS,
        "reconnect_backoff_max_ms": 1_000,
        "socket_options": list(OPTIONS),
    } | account.options(settings.security)
    try:
        return kind(**connection | options)
    except KafkaError:
        if found := account.problem(settings):
            raise UserError(f"Kafka at oda.kafka.brokers = {settings.brokers}: {found}") from None
        raise UserError(
            f"no answer from Kafka at oda.kafka.brokers = {settings.brokers}; start it with `oda up`"
        ) from None
    except ValueError:
        raise UserError(f"oda.kafka.brokers = {settings.brokers}: must be host:port, comma separated") from None
