"""The topics that ODA writes and reads: made, listed, and described.

Somebody else may have made them, with limits of their own.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import AuthorizationError, TopicAlreadyExistsError, for_code

from oda.errors import Refused, UserError
from oda.kafka import client
from oda.settings import Kafka

REJECTED_BYTES = 4 * 2**20
"""Largest message of the topic of rejected ones: any original (at most 1 MiB) with its headers."""

_KAFKAS_OWN_LIMIT = 1_048_588
"""`max.message.bytes` where nobody has set it, or we may not ask."""


def list_topics(settings: Kafka) -> list[str]:
    """Names of all topics, sorted. Raises UserError when Kafka can't be reached."""
    with client.explained(settings), closing(client.admin(settings)) as admin:
        return sorted(admin.list_topics())


def require_topic(settings: Kafka, name: str) -> None:
    """Raises UserError when the topic doesn't exist, or Kafka can't be reached."""
    if name not in list_topics(settings):
        raise no_topic(name, settings.security.user)


def no_topic(name: str, user: str | None) -> UserError:
    """What to raise when a topic doesn't exist, as far as this user sees."""
    if user:
        return UserError(
            f"there is no topic {name}, or oda.kafka.security.user = {user} lacks a right to it: "
            "`oda admin` makes topics and gives rights"
        )
    return UserError(f"there is no topic {name}; make it with `oda topics --create --topic {name}`")


def create_topic(settings: Kafka, name: str, partitions: int, replication: int) -> None:
    """Make one topic and wait until every partition has a leader.

    Raises:
        UserError: it exists, its name is no topic name, there are fewer brokers than replicas, or
            Kafka can't be reached.
    """
    with client.explained(settings), closing(client.admin(settings)) as admin:
        _create(admin, {name: _new(partitions, replication)}, who=client.who(settings))


def create_topics(settings: Kafka, *only: str) -> None:
    """Make those of ODA's topics that don't exist, or those named, and leave the others as they are.

    An account that may use some of them only has to name these: it sees no others, and takes them for missing.
    Retention is the broker's, but of rules and verdicts. Raises UserError as `create_topic` does.
    """
    topics = {name: topic for name, topic in wanted(settings).items() if name in only or not only}
    with client.explained(settings), closing(client.admin(settings)) as admin:
        existing = set(admin.list_topics())
        missing = {name: topic for name, topic in topics.items() if name not in existing}
        if missing:
            _create(admin, missing, ignore=TopicAlreadyExistsError, who=client.who(settings))


def wanted(settings: Kafka) -> dict[str, dict[str, Any]]:
    """ODA's topics as kafka-python makes them: partitions, replicas, what differs from the broker's own settings."""
    topics = {name: _new(settings.partitions, settings.replication) for name in settings.topics}
    # When it came, by one clock: a producer's may be wrong, or lie.
    topics[settings.readings]["configs"]["message.timestamp.type"] = "LogAppendTime"
    # The broker unpacks what producers compress, and refuses what is too large then.
    topics[settings.readings]["configs"]["compression.type"] = "uncompressed"
    topics[settings.rejected]["configs"]["max.message.bytes"] = str(REJECTED_BYTES)
    # The log names versions of the rules for as long as there is a log; what people said nobody can say again.
    for name in (settings.rules, settings.verdicts):
        topics[name] = _new(1, settings.replication)
        topics[name]["configs"] = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        topics[name]["configs"]["message.timestamp.type"] = "LogAppendTime"
    topics[settings.audits] = _new(1, settings.replication)
    topics[settings.audits]["configs"]["cleanup.policy"] = "compact"
    return topics


def _new(partitions: int, replication: int) -> dict[str, Any]:
    return {"num_partitions": partitions, "replication_factor": replication, "configs": {}}


def _create(admin: Any, topics: dict[str, Any], who: str, ignore: type[Exception] | tuple[()] = ()) -> None:
    answer = admin.create_topics(topics, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if issubclass(error, AuthorizationError):
            raise UserError(
                f"topic {topic['name']}: {who} may not use it, and, if it is not there, may not make it; "
                "`oda admin` makes topics and gives rights"
            )
        if topic["error_code"] and not issubclass(error, ignore):
            raise UserError(f"topic {topic['name']}: {topic['error_message'] or error.__name__}")
    admin.wait_for_topics(list(topics), timeout_ms=client.CONNECT_MS)


class Topic(NamedTuple):
    """One topic.

    Attributes:
        limit: the most bytes of a message, with all that Kafka adds.
        compacted: whether Kafka keeps only the newest message of each key.
        in_sync: how many replicas must have a message before it is acknowledged.
        replicas: of the partition that has the fewest.
    """

    name: str
    limit: int
    compacted: bool
    in_sync: int
    partitions: int
    replicas: int


def find_topics(settings: Kafka) -> list[Topic]:
    """The topics of readings and results; makes those of ODA's that are missing.

    Raises:
        UserError: Kafka can't be reached, or a topic can't be made.
    """
    create_topics(settings)
    with client.explained(settings), closing(client.admin(settings)) as admin:
        described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(settings.topics)}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in settings.topics]
        configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return [_described(name, described[name], configs.get(name, {})) for name in settings.topics]


def _described(name: str, partitions: list[dict[str, Any]], configs: dict[str, dict[str, Any]]) -> Topic:
    values = {key: entry["value"] for key, entry in configs.items()}
    return Topic(
        name,
        limit=int(values.get("max.message.bytes", _KAFKAS_OWN_LIMIT)),
        compacted="compact" in values.get("cleanup.policy", ""),
        in_sync=int(values.get("min.insync.replicas", 1)),
        partitions=len(partitions),
        replicas=min(len(partition["replica_nodes"]) for partition in partitions),
    )


def check_topics(topics: list[Topic], settings: Kafka) -> list[str]:
    """What of the settings a topic does not follow, or what will be missing in it; empty if all is well.

    Raises:
        Refused: a topic that ODA writes to takes no message.
    """
    notes = []
    for topic in topics:
        if topic.in_sync > topic.replicas and topic.name != settings.readings:
            raise Refused(
                f"topic {topic.name} takes no message: its min.insync.replicas is {topic.in_sync}, "
                f"and it has {topic.replicas} replica(s). Set it to less, or give the topic more replicas."
            )
        for what, found, wanted in (
            ("partitions", topic.partitions, settings.partitions),
            ("replication", topic.replicas, settings.replication),
        ):
            if found != wanted:
                notes.append(
                    f"oda.kafka.{what} is {wanted}, and topic {topic.name} was made with {found}, which it keeps: "
                    f"the setting is for topics that ODA makes. Set it to {found}, or alter the topic by Kafka's tools."
                )
        if topic.compacted and topic.name == settings.rejected:
            notes.append(
                f"topic {topic.name} is compacted (cleanup.policy), so Kafka keeps only the newest message of each key"
            )
    return notes
