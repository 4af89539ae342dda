"""Reading topics outside of the topology: all that there is by now, or what comes until a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

from kafka import TopicPartition

from oda.errors import UserError
from oda.kafka import client
from oda.kafka.topics import no_topic
from oda.settings import Kafka

STALL_SECONDS = 60.0
"""A log that gives nothing new for so long can't be read to its end."""

_POLL_SECONDS = 1.0

_MOST_RECORDS = 10_000
"""Of one poll."""

Polled = Iterator[tuple[TopicPartition, Sequence[Any]]]
"""Some records of one partition at a time, in the order of its log."""


@contextmanager
def reader(settings: Kafka, topics: Sequence[str], from_beginning: bool, **options: Any) -> Iterator[Any]:
    """A KafkaConsumer of all partitions of `topics`, without a group, from their beginning or end on.

    `options` are kafka-python's. Raises:
        UserError: a topic doesn't exist, or Kafka can't be reached.
    """
    start = "earliest" if from_beginning else "latest"
    defaults = {"auto_offset_reset": start, "max_poll_records": _MOST_RECORDS}
    consumer = client.consumer(settings, **defaults | options)
    try:
        with client.explained(settings):
            consumer.assign([part for topic in topics for part in partitions(consumer, topic)])
            for part in consumer.assignment():
                consumer.position(part)  # looks the place up now; else it is where the first poll() finds it
            yield consumer
    finally:
        consumer.close()


def partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    """All of a topic. Raises UserError when it doesn't exist."""
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise no_topic(topic, client.user_of(consumer))
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def read_to_end(
    consumer: Any, ends: Mapping[TopicPartition, int] | None = None, stall_seconds: float = STALL_SECONDS
) -> Polled:
    """What lies between the consumer's positions and `ends`: those of now of all that is assigned to it, if not given.

    Up to a position, not until a last record: offsets may hold none. What came meanwhile beyond an end is not lost: the
    consumer stands at the end again.

    Raises:
        UserError: no position moved for `stall_seconds`.
    """
    ends = consumer.end_offsets(consumer.assignment()) if ends is None else ends
    moved = time.monotonic()
    left = {part: consumer.position(part) for part in ends}
    stops = {part: max(position, ends[part]) for part, position in left.items()}
    while left := {part: position for part, position in left.items() if position < ends[part]}:
        for part, records in consumer.poll(_POLL_SECONDS * 1000).items():
            if part in left:
                yield part, _before(ends[part], records)
        now = {part: consumer.position(part) for part in left}
        if now != left:
            moved = time.monotonic()
        elif time.monotonic() > moved + stall_seconds:
            part, position = next(iter(left.items()))
            raise UserError(
                f"topic {part.topic}, partition {part.partition}: nothing after offset {position} "
                f"for {stall_seconds:.0f} s, though it ends at {ends[part]}; are all brokers up?"
            )
        left = now
    for part, stop in stops.items():
        if consumer.position(part) > stop:
            consumer.seek(part, stop)


def _before(end: int, records: Sequence[Any]) -> Sequence[Any]:
    return records if records[-1].offset < end else [record for record in records if record.offset < end]


def follow(consumer: Any, deadline: float = inf) -> Polled:
    """What comes, until `deadline` of the monotonic clock."""
    while (seconds := deadline - time.monotonic()) > 0:
        yield from consumer.poll(min(_POLL_SECONDS, seconds) * 1000).items()
