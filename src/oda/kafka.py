"""Kafka for the commands: topics are made and listed, a consumer starts where it is told to.

Every error that a person can mend names the setting. Knows nothing of readings.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from kafka.partitioner import DefaultPartitioner, murmur2

from oda.errors import UserError
from oda.settings import Kafka

CONNECT_MS = 10_000
"""How long the first connection may take, ms."""

REJECTED_BYTES = 4 * 2**20
"""Largest message of the topic of rejected ones: any original (at most 1 MiB) with its headers."""


_WAY_OUT = "Start anew beside them: docs/upgrades.md"


class RememberingPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """Kafka's own choice for a key, its hash remembered: in Python it is a fifth of what sending a message costs."""

    def partition(self, topic: str, key: Any, key_bytes: bytes | None, *rest: Any) -> int:
        """Called by KafkaProducer for each message; one without a key goes anywhere."""
        if key_bytes is None:
            return int(super().partition(topic, key, key_bytes, *rest))
        partitions = sorted(rest[-1].partitions_for_topic(topic))
        return int(partitions[_hash(key_bytes) % len(partitions)])


@lru_cache(2**18)  # with more series than it holds, ones that take turns would never be found in it
def _hash(key: bytes) -> int:
    return int(murmur2(key) & 0x7FFFFFFF)


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched, as kafka-python unpacks it: but that falls over a marker that compaction emptied."""

    def _contains_abort_marker(self, batch: Any) -> bool:
        return bool(batch.records_count) and bool(super()._contains_abort_marker(batch))


def connect(client: Callable[..., Any], settings: Kafka, **options: Any) -> Any:
    """A client of kafka-python, connected; it reconnects by itself.

    Raises UserError when Kafka can't be reached.
    """
    servers = settings.brokers.split(",")
    try:
        return client(
            bootstrap_servers=servers, bootstrap_timeout_ms=CONNECT_MS, reconnect_backoff_max_ms=1_000, **options
        )
    except KafkaError:
        raise UserError(
            f"no answer from Kafka at oda.kafka.brokers = {settings.brokers}; start it with `oda up`"
        ) from None
    except ValueError:
        raise UserError(f"oda.kafka.brokers = {settings.brokers}: must be host:port, comma separated") from None


def connect_consumer(settings: Kafka, **options: Any) -> Any:
    """A KafkaConsumer, connected. All readers of ODA are made here, so that each reads what is committed only.

    What an aborted transaction wrote does not exist for it. Of an open transaction's partition nothing exists yet
    from its first record on, and `end_offsets` are such: Kafka's last stable offsets.

    Raises UserError when Kafka can't be reached.
    """
    defaults = {"isolation_level": "read_committed", "allow_auto_create_topics": False}
    client = connect(KafkaConsumer, settings, **defaults | options)
    client._fetcher.PartitionRecords = PartitionRecords
    return client


def topic_id(client: Any, topic: str) -> uuid.UUID | None:
    """Kafka's id of a topic, as of the newest metadata of a consumer; None if there is no such topic in it.

    A topic that is deleted and made again has another one. kafka-python has no public way to ask a consumer.
    """
    return cast("uuid.UUID | None", client._cluster.topic_id(topic))


def made_anew(topic: str, was: uuid.UUID, now: uuid.UUID) -> str:
    """What to tell of a topic that has another id than the one that the stored results are of."""
    return (
        f"topic {topic} was deleted and made again since (its id was {was}, it is {now}): offsets start anew, "
        f"and the results stored so far are of the old one. {_WAY_OUT}"
    )


def lost_its_end(topic: str, partition: int, position: int) -> str:
    """What to tell of a log that ends, or is another one, before a position up to which it was read."""
    return (
        f"topic {topic}, partition {partition} lost its end: it was read up to offset {position}, and ends, or is "
        f"another log, before that now. The results stored so far are of the old one. {_WAY_OUT}"
    )


def held_up(topic: str, partition: int, offset: int) -> str:
    """What to tell of a partition whose end can't be read yet."""
    return (
        f"topic {topic}, partition {partition}: what follows offset {offset} waits for an open transaction, which "
        "its producer has neither committed nor aborted (kafka-transactions.sh find-hanging tells whose it is)"
    )


@contextmanager
def _admin(settings: Kafka) -> Iterator[Any]:
    client = connect(KafkaAdminClient, settings)
    try:
        yield client
    except KafkaError as error:
        raise UserError(f"Kafka at oda.kafka.brokers = {settings.brokers}: {error}") from None
    finally:
        client.close()


def list_topics(settings: Kafka) -> list[str]:
    """Names of all topics, sorted. Raises UserError when Kafka can't be reached."""
    with _admin(settings) as admin:
        return sorted(admin.list_topics())


def require_topic(settings: Kafka, name: str) -> None:
    """Raises UserError when the topic doesn't exist, or Kafka can't be reached."""
    if name not in list_topics(settings):
        raise _no_topic(name)


def create_topic(settings: Kafka, name: str, partitions: int, replication: int) -> None:
    """Make one topic and wait until every partition has a leader.

    Raises:
        UserError: it exists, its name is no topic name, there are fewer brokers than replicas, or
            Kafka can't be reached.
    """
    with _admin(settings) as admin:
        _create(admin, {name: _topic(partitions, replication)})


def create_topics(settings: Kafka) -> None:
    """Make those of ODA's topics that don't exist; leave the others as they are.

    Retention is the broker's. Raises UserError as `create_topic` does.
    """
    topics = {name: _topic(settings.partitions, settings.replication) for name in settings.topics}
    # When it came, by one clock: a producer's may be wrong, or lie.
    topics[settings.readings]["configs"]["message.timestamp.type"] = "LogAppendTime"
    # The broker unpacks what producers compress, and refuses what is too large then.
    topics[settings.readings]["configs"]["compression.type"] = "uncompressed"
    topics[settings.rejected]["configs"]["max.message.bytes"] = str(REJECTED_BYTES)
    with _admin(settings) as admin:
        existing = set(admin.list_topics())
        missing = {name: topic for name, topic in topics.items() if name not in existing}
        if missing:
            _create(admin, missing, ignore=TopicAlreadyExistsError)


def _topic(partitions: int, replication: int) -> dict[str, Any]:
    return {"num_partitions": partitions, "replication_factor": replication, "configs": {}}


def _create(admin: Any, topics: dict[str, Any], ignore: type[Exception] | tuple[()] = ()) -> None:
    answer = admin.create_topics(topics, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and not issubclass(error, ignore):
            raise UserError(f"topic {topic['name']}: {topic['error_message'] or error.__name__}")
    admin.wait_for_topics(list(topics), timeout_ms=CONNECT_MS)


@contextmanager
def consumer(settings: Kafka, topics: Sequence[str], from_beginning: bool, **options: Any) -> Iterator[Any]:
    """A KafkaConsumer of all partitions of `topics`, without a group, from their beginning or end on.

    `options` are kafka-python's. Raises:
        UserError: a topic doesn't exist, or Kafka can't be reached.
    """
    start = "earliest" if from_beginning else "latest"
    client = connect_consumer(settings, auto_offset_reset=start, **options)
    try:
        client.assign([TopicPartition(topic, number) for topic in topics for number in _partitions(client, topic)])
        for partition in client.assignment():
            client.position(partition)  # looks the place up now; else it is where the first poll() finds it
        yield client
    except KafkaError as error:
        raise UserError(f"Kafka at oda.kafka.brokers = {settings.brokers}: {error}") from None
    finally:
        client.close()


def _partitions(client: Any, topic: str) -> list[int]:
    numbers = client.partitions_for_topic(topic)
    if not numbers:
        raise _no_topic(topic)
    return sorted(numbers)


def _no_topic(name: str) -> UserError:
    return UserError(f"there is no topic {name}; make it with `oda topics --create --topic {name}`")
