"""Who leads a partition: not every broker knows.

A broker that the controller does not reach takes itself for the leader of what it led until it hears that it is none,
and answers with an end of the log that was one once. A leader's epoch tells: it grows with each one.
kafka-python has no public way to tell a consumer of one, nor to ask a broker of one's choice.
"""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from oda.kafka.mended import NOBODY

_ANSWER_MS = 5_000


def heard_of(consumer: Any, part: TopicPartition, epoch: int) -> None:
    """Have a consumer know that a partition had a leader of this epoch: of an older epoch there is none any more."""
    consumer._cluster.update_partition_leader(part, NOBODY, epoch)


def ask_replicas(consumer: Any, part: TopicPartition) -> None:
    """Have a consumer know a leader that has all that was acknowledged in a partition before this call.

    Asked is more than half of the brokers that hold the partition. What counts as written is held by as many, if
    `min.insync.replicas` is more than half of the replicas: so one of those that are asked knows its leader, or a later
    one, and the highest epoch counts.

    Raises:
        kafka.errors.KafkaError: too few of them answer.
    """
    known = consumer._cluster._partitions.get(part.topic, {}).get(part.partition)
    replicas = [] if known is None else known.replica_nodes
    answered, problem = 0, None
    for node in replicas:
        try:
            consumer._net.run(_ask, consumer._manager, node)
        except KafkaError as error:
            problem = error
            continue
        answered += 1
        if answered > len(replicas) // 2:
            return
    raise KafkaError(
        f"who leads topic {part.topic}, partition {part.partition} is told by {answered} of the {len(replicas)} "
        f"brokers that hold it, which is too few to be sure: {problem!r}"
    )


async def _ask(manager: Any, node: int) -> None:
    request = manager.cluster.metadata_request()
    manager.cluster.update_metadata(await manager.wait_for(manager.send(request, node), _ANSWER_MS))
