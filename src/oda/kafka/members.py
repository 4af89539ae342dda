"""The log of members, from a time on: what was told in the partition of one group."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from kafka import TopicPartition

from oda.core.groups.told import Told, read
from oda.kafka.reader import read_to_end, reader
from oda.settings import Kafka


def told_since(settings: Kafka, group: str, time: int) -> Iterator[Told]:
    """What came from a time on (epoch ms), up to the end of now, in the order of the log.

    Args:
        settings: where Kafka is.
        group: the series of a group.
        time: as Kafka has it of its records.

    Raises:
        UserError: Kafka can't be reached, or has no such topic.
    """
    with reader(settings, [settings.members], from_beginning=True) as consumer:
        parts = sorted(consumer.assignment())
        part = TopicPartition(settings.members, crc32(group.encode()) % len(parts))
        consumer.assign([part])
        ends = consumer.end_offsets([part])
        found = consumer.offsets_for_times({part: max(0, time)})[part]
        consumer.seek(part, found.offset if found else ends[part])
        for _, records in read_to_end(consumer, ends):
            for mark in read(records, settings.group):
                yield mark.told
