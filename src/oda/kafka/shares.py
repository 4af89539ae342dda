"""Which broker has which replicas: one that joins is given its share of each topic, one that goes hands it back.

Kafka moves none by itself. A topic's first replica of a partition is its leader.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition

from oda.errors import UserError
from oda.kafka import client
from oda.settings import Kafka

Replicas = dict[int, list[int]]
"""Of one topic: the brokers that have a partition, the leader first."""

_SECONDS = 1800.0
"""How long copying may take."""


def give(settings: Kafka, broker: int) -> None:
    """Move replicas of every topic to a broker that joined; returns when it has them.

    Raises:
        UserError: Kafka refuses, or it takes too long.
    """
    _move(settings, lambda topic, brokers: with_share(topic, broker, len(brokers)))


def take(settings: Kafka, broker: int) -> None:
    """Move all replicas away from a broker; returns when it has none. Raises UserError as `give` does."""
    _move(settings, lambda topic, brokers: without(topic, broker, [one for one in brokers if one != broker]))


def with_share(topic: Mapping[int, Sequence[int]], broker: int, brokers: int) -> Replicas:
    """What changes so that one of so many brokers has its share, rounded down, of leaders and of followers.

    >>> with_share({0: [1, 2, 3], 1: [2, 3, 1], 2: [3, 1, 2], 3: [1, 2, 3]}, 4, 4)
    {0: [4, 2, 3], 1: [2, 4, 1], 2: [3, 1, 4]}
    """
    now = {partition: list(replicas) for partition, replicas in topic.items()}
    share = sum(map(len, now.values())) // brokers
    for turn in range(share - sum(replicas.count(broker) for replicas in now.values())):
        of = Counter(replica for replicas in now.values() for replica in replicas)
        # Leaders and followers in turn, from who has most.
        others = [(replicas, turn % len(replicas)) for replicas in now.values() if broker not in replicas]
        if not others:
            break
        replicas, place = max(others, key=lambda found: of[found[0][found[1]]])
        replicas[place] = broker
    return _changes(topic, now)


def without(topic: Mapping[int, Sequence[int]], broker: int, others: Sequence[int]) -> Replicas:
    """What changes so that a broker has nothing; each time who has least takes its place, if anyone is left who can.

    >>> without({0: [4, 2, 3], 1: [2, 3, 1]}, 4, [1, 2, 3])
    {0: [1, 2, 3]}
    """
    now = {partition: list(replicas) for partition, replicas in topic.items()}
    for replicas in now.values():
        if broker in replicas:
            of = Counter(replica for each in now.values() for replica in each)
            free = sorted((one for one in others if one not in replicas), key=of.__getitem__)
            place = replicas.index(broker)
            replicas[place : place + 1] = free[:1]
    return _changes(topic, now)


def _changes(before: Mapping[int, Sequence[int]], after: Replicas) -> Replicas:
    return {partition: replicas for partition, replicas in after.items() if replicas != list(before[partition])}


def _move(settings: Kafka, planned: Callable[[Replicas, Sequence[int]], Replicas]) -> None:
    """Repeats itself until nothing is to be moved: topics are made meanwhile."""
    deadline = time.monotonic() + _SECONDS
    with client.explained(settings), closing(client.admin(settings)) as admin:
        while moves := _moves(admin, planned):
            refused = {part: error for part, error in admin.alter_partition_reassignments(moves).items() if error}
            for part, error in refused.items():
                raise UserError(f"Kafka does not move {part.topic}-{part.partition}: {error.__name__}")
            while admin.list_partition_reassignments():
                if time.monotonic() > deadline:
                    raise UserError(f"Kafka has not moved {len(moves)} partitions within {_SECONDS:.0f} s")
                time.sleep(1)


def _moves(admin: Any, planned: Callable[[Replicas, Sequence[int]], Replicas]) -> dict[TopicPartition, list[int]]:
    brokers = sorted(node["broker_id"] for node in admin.describe_cluster()["brokers"] if not node.get("is_fenced"))
    return {
        TopicPartition(topic["name"], partition): replicas
        for topic in admin.describe_topics()
        for partition, replicas in planned(
            {found["partition_index"]: found["replica_nodes"] for found in topic["partitions"]}, brokers
        ).items()
    }
