"""What the topics take that ODA writes to: somebody else may have made them, with limits of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from oda.errors import Refused
from oda.kafka import connect, create_topics
from oda.settings import Kafka

_KAFKAS_OWN_LIMIT = 1_048_588
"""`max.message.bytes` where nobody has set it, or we may not ask."""


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
    """All of ODA's topics; makes those that are missing.

    Raises:
        UserError: Kafka can't be reached, or a topic can't be made.
    """
    create_topics(settings)
    admin = connect(KafkaAdminClient, settings)
    try:
        described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(settings.topics)}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in settings.topics]
        configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    finally:
        admin.close()
    return [_topic(name, described[name], configs.get(name, {})) for name in settings.topics]


def _topic(name: str, partitions: list[dict[str, Any]], configs: dict[str, dict[str, Any]]) -> Topic:
    values = {key: config["value"] for key, config in configs.items()}
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
