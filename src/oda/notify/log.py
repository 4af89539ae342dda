"""The topic of incidents as one receiver reads it, in a consumer group of its own.

What it was told is below the group's offsets, which are committed only then. What it knows, the incidents that last, is
kept nowhere: at the start it is read again from the topic's beginning. With the offsets goes a `Note`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from oda.core.kinds import INCIDENTS, Incident, Located
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.reader import partitions, read_to_end
from oda.kafka.topics import create_topics
from oda.notify.standstill import Told
from oda.results import Results
from oda.settings import Kafka

_MOST_RECORDS = 1_000
"""Of one poll: by so many a mailbox may have more than it should."""

_COMMIT_MS = 10_000


class Note(msgspec.Struct, frozen=True):
    """What is kept beside the offsets: the standstill that it was told of, and why it takes nothing.

    `suppressed` is how many incidents those of groups suppressed (see `oda.notify.gate`). Of a standstill that is being
    told `is_told` is false: whether it arrived is known only when that note is replaced.
    """

    standstill: Told | None = None
    away: str = ""
    suppressed: int = 0
    is_told: bool = True


def group(settings: Kafka, receiver: str) -> str:
    """The consumer group of a receiver."""
    return f"{settings.group}.notify.{receiver}"


class Log:
    """Not safe for threads. Each method may raise UserError or kafka.errors.KafkaError."""

    def __init__(self, settings: Kafka, receiver: str) -> None:
        self._settings = settings
        self._group = group(settings, receiver)
        self._results = Results(settings, kinds=(INCIDENTS,))
        self._consumer: Any = None
        self._parts: list[TopicPartition] = []

    def open(self, know: Callable[[Located[Incident], int], None]) -> Note:
        """Begin where the receiver was; `know` is called with each change of before, and when it came (epoch ms).

        Those of an incident come in order.

        A receiver that is new begins with what comes: it is not told what was before it.
        """
        self.close()
        create_topics(self._settings)
        self._results = Results(self._settings, kinds=(INCIDENTS,))
        with client.explained(self._settings):
            options = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "max_poll_records": _MOST_RECORDS}
            self._consumer = consumer = client.consumer(self._settings, group_id=self._group, **options)
            self._parts = partitions(consumer, self._settings.incidents)
            consumer.assign(self._parts)
            committed = {part: found for part in self._parts if (found := committed_at(consumer, part))}
            ends = consumer.end_offsets(self._parts)
            # Beyond the end is a place in a topic that was deleted since, of which another one has the name now.
            starts = {part: min(committed[part].offset, ends[part]) for part in committed}
            starts = {part: starts.get(part, 0) for part in self._parts} if committed else ends
            consumer.seek_to_beginning()
            for _, records in read_to_end(consumer, starts):
                for record in records:
                    if found := self._take(record):
                        know(found, record.timestamp)
            for part, start in starts.items():
                consumer.seek(part, max(start, consumer.beginning_offsets([part])[part]))
        return noted(*committed.values())

    def poll(self, seconds: float) -> Iterator[tuple[Located[Incident], TopicPartition, int, int]]:
        """What comes within some time: each change once, where the log has it, and when it came, epoch ms."""
        if partitions(self._consumer, self._settings.incidents) != self._parts:
            raise UserError(f"topic {self._settings.incidents} has other partitions than before: reading it anew")
        for part, records in self._consumer.poll(seconds * 1000).items():
            for record in records:
                if found := self._take(record):
                    yield found, part, record.offset, record.timestamp

    def positions(self) -> dict[TopicPartition, int]:
        """Up to where it was read."""
        return {part: self._consumer.position(part) for part in self._parts}

    def commit(self, offsets: Mapping[TopicPartition, int], note: Note) -> None:
        """Make durable how far the receiver is."""
        text = msgspec.json.encode(note).decode()
        committed = {part: OffsetAndMetadata(offset, text, -1) for part, offset in offsets.items()}
        self._consumer.commit(committed, timeout_ms=_COMMIT_MS)

    def close(self) -> None:
        """Let go of the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _take(self, record: Any) -> Located[Incident] | None:
        """A change of an incident of our readings."""
        found = self._results.take(record.topic, record.value)
        ours = found is not None and found.topic == self._settings.readings
        return found if ours else None  # type: ignore[return-value]  # of the only kind that there is


def committed_at(consumer: Any, part: TopicPartition) -> OffsetAndMetadata | None:
    """Up to where a group is, and its note."""
    found: OffsetAndMetadata | None = consumer.committed(part, metadata=True, timeout_ms=client.CONNECT_MS)
    return found


def noted(*committed: OffsetAndMetadata) -> Note:
    """The note of what was committed; all partitions have the same."""
    try:
        return msgspec.json.decode(committed[0].metadata if committed else "{}", type=Note)
    except ValueError:  # somebody else has set the offsets
        return Note()
