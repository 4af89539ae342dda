"""Where the audit reads the log, and how far the topology has come in it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from uuid import UUID

from kafka import TopicPartition
from kafka.protocol.consumer import OffsetSpec

from oda.core.kinds import Document, Kind
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.problems import lost_its_end
from oda.settings import Kafka
from oda.stores.kafka import partitions_of, read, require_beginning


class Positions(NamedTuple):
    """Of each partition of the readings' topic: committed by the group, and the end of the log.

    `held` are those whose end can't be read yet: from where on they wait for an open transaction.
    """

    committed: dict[int, int]
    ends: dict[int, int]
    held: dict[int, int]

    def behind(self, ends: Mapping[int, int]) -> int:
        """How many offsets are not committed of those before `ends`."""
        return sum(max(0, end - self.committed.get(partition, 0)) for partition, end in ends.items())


class Log:
    """The topic of readings.

    Raises:
        UserError: Kafka can't be reached, here or in any method.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._admin = client.admin(settings)
        self._consumer = client.consumer(
            settings,
            group_id=settings.group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=20_000,
            max_partition_fetch_bytes=16 * 2**20,
        )

    def close(self) -> None:
        self._consumer.close(autocommit=False)
        self._admin.close()

    def id(self) -> UUID | None:
        """Kafka's id of the readings' topic, which one that is made anew has not.

        Raises:
            UserError: there is no such topic.
        """
        with self._errors():
            partitions_of(self._consumer, self._settings.readings)
            return client.topic_id(self._consumer, self._settings.readings)

    def positions(self, topic: str = "") -> Positions:
        """How far the group has come, in the readings or another log of its own, which may not be there yet.

        Raises:
            UserError: there is no topic of readings, or one lost its end.
        """
        with self._errors():
            if topic and not self._consumer.partitions_for_topic(topic):
                return Positions({}, {}, {})
            parts = partitions_of(self._consumer, topic or self._settings.readings)
            committed = {part.partition: self._committed(part) for part in parts}
            found = self._admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
            ends = {part.partition: found[part].offset for part in parts}
            readable = {part.partition: end for part, end in self._consumer.end_offsets(parts).items()}
        for partition, end in ends.items():
            if committed[partition] > end:
                raise UserError(lost_its_end(topic or self._settings.readings, partition, committed[partition]))
        held = {partition: end for partition, end in readable.items() if end < ends[partition]}
        return Positions(committed, ends, held)

    def _committed(self, part: TopicPartition) -> int:
        found = self._consumer.committed(part, metadata=True)
        if found is None:
            return 0
        if found.metadata:  # the spout noted what it found
            raise UserError(found.metadata)
        return int(found.offset)

    def records(self, partition: int, start: int, end: int, topic: str = "") -> Iterator[Any]:
        """The records of one partition of the readings' topic, or another, from offset `start` on, before `end`.

        Raises:
            UserError: retention has taken the first of them.
        """
        with self._errors():
            part = TopicPartition(topic or self._settings.readings, partition)
            require_beginning(self._consumer, part, start)
            yield from read(self._consumer, part, start, end)

    def rules(self) -> dict[int, str]:
        """The text of each version of the rules: the offset after its record in the topic of rules."""
        part = TopicPartition(self._settings.rules, 0)
        with self._errors():
            if not self._consumer.partitions_for_topic(part.topic):
                return {}
            end = self._consumer.end_offsets([part])[part]
            records = read(self._consumer, part, 0, end)
            return {record.offset + 1: record.value.decode() for record in records if record.key == b"rules"}

    def _errors(self) -> AbstractContextManager[None]:
        return client.explained(self._settings)


def is_elsewhere(row: Document, kind: Kind[Any], ends: Mapping[int, int], starts: Mapping[int, int]) -> bool:
    """Whether a row that a store holds is of another part of the log than the audited one."""
    try:
        partition = row["partition"]
        return not starts.get(partition, 0) <= row[kind.made_at] < ends[partition]
    except (KeyError, TypeError):  # no such row is right, so it must be compared
        return False
