"""Kafka, for later stages: results and rejected messages, keyed by series.

Results are JSON, at least once: a replay repeats a row as it was, and its place in the log tells that it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import (
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

from oda.core.groups.telling import Quiet, Said, Telling
from oda.core.kinds import KINDS, REJECTED, Document, Kind, Rejected
from oda.errors import Refused, UserError
from oda.kafka import client
from oda.kafka.reader import read_to_end
from oda.kafka.topics import Topic, check_topics, find_topics
from oda.settings import Settings
from oda.stores.contract import Found, Item, Part, Rows

_MAX_REQUEST_BYTES = 4 * 1024 * 1024  # a rejected original of the broker's 1 MiB, and its headers

_BATCH_BYTES = 128 * 1024

_OVERHEAD_BYTES = 200
"""What Kafka adds to a message with a few headers, at most."""

CUT = "; this copy is cut, the topic takes no more"
"""The end of the reason of a message that is not here as a whole."""


class KafkaStore:
    """The topics of results, one for each kind."""

    def __init__(self, settings: Settings) -> None:
        self.notes: Sequence[str] = ()
        self._config = settings.kafka
        self._names = {kind: getattr(settings.kafka, kind) for kind in KINDS}
        self._topics: dict[str, Topic] = {}
        self._producer: Any = None
        self._telling: Telling | None = None

    def close(self) -> None:
        """Let go of the connections, and of what is not sent: after some errors an idempotent producer sends none."""
        producer, self._producer, self._topics = self._producer, None, {}
        if producer is not None:
            producer.close(timeout=0)

    # -- topics ---------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Make topics that are missing, and look at what each takes.

        Raises:
            Refused: a topic takes no message at all.
        """
        topics = find_topics(self._config)
        self.notes = check_topics(topics, self._config)
        self._topics = {topic.name: topic for topic in topics}

    def drop(self) -> None:
        """Delete the topics; readings stay."""
        with client.explained(self._config), closing(client.admin(self._config)) as admin:
            admin.delete_topics([*self._names.values(), self._config.members], raise_errors=False)  # not each may exist

    # -- writing --------------------------------------------------------------------------------

    def write(self, items: Sequence[Item]) -> None:
        """Send rows; returns when the brokers have acknowledged all of it.

        Raises:
            Refused: a topic does not take so large a message, or none of this account.
            kafka.errors.KafkaError, UserError: try again; that begins with a new connection.
        """
        try:
            self._connect()
            sent = [(self._names[item.kind.name], self._send(item)) for item in items if isinstance(item, Rows)]
            for_groups = [item for item in items if isinstance(item, Said | Quiet)]
            if for_groups:
                sent.append(self._tell(self._told().members(for_groups)))
            self._wait(sent)
            if for_groups:  # what was to be before it is acknowledged
                partitions = len(self._producer.partitions_for(self._config.readings))
                self._wait([self._tell(self._told().progress(for_groups, partitions))])
        except BaseException:
            self.close()
            raise

    def _wait(self, sent: Sequence[tuple[str, list[Any]]]) -> None:
        """Until all futures, by topic, are acknowledged."""
        self._producer.flush()
        for topic, futures in sent:
            with self._refusals(topic):
                for future in futures:
                    future.get()

    def _told(self) -> Telling:
        if self._telling is None:
            members = self._producer.partitions_for(self._config.members)
            self._telling = Telling(self._config.group, len(members))
        return self._telling

    def _tell(self, messages: Sequence[tuple[int, bytes]]) -> tuple[str, list[Any]]:
        topic = self._config.members
        with self._refusals(topic):
            return topic, [self._producer.send(topic, value, partition=number) for number, value in messages]

    def _connect(self) -> None:
        if self._producer is not None:
            return
        if not self._topics:  # what they take may have changed when it is opened anew
            self.migrate()
        self._producer = client.producer(
            self._config,
            enable_idempotence=True,
            max_request_size=_MAX_REQUEST_BYTES,
            # `flush` does not wait for it; without it the sender is woken for nearly every row.
            linger_ms=1_000,
            # A topic's limit is one of batches: what is written together has to fit, too.
            batch_size=min(_BATCH_BYTES, *(topic.limit for topic in self._topics.values())),
            # Groups wait for every partition of the readings: for a new one as soon as it is read.
            metadata_max_age_ms=2_000,
        )

    def _send(self, item: Rows) -> list[Any]:
        """The future of each message."""
        kind, topic, origin, send = item.kind, self._names[item.kind.name], self._config.readings, self._producer.send
        futures = []
        with self._refusals(topic):
            for row in item.rows:
                if kind is REJECTED:
                    key, value, headers = self._copy(row, item.partition)
                    futures.append(send(topic, key=key, value=value, headers=headers))
                else:
                    document = kind.document(origin, item.partition, row)
                    futures.append(send(topic, key=row.series.encode(), value=msgspec.json.encode(document)))
        return futures

    def _copy(self, message: Rejected, partition: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        """A rejected message as it came, with its origin and the reason as headers.

        Of one that is too large for the topic, as much as that takes.
        """
        topic = self._topics[self._config.rejected]
        origin = {"oda.topic": self._config.readings, "oda.partition": partition, "oda.offset": message.offset}
        headers = [(name, str(value).encode()) for name, value in origin.items()]
        key, value, reason = _fitted(message, topic.limit - sum(map(_size, headers)))
        # kafka-python refuses to send neither key nor value, and a compacted topic takes nothing without a key.
        if key is None and topic.compacted:
            key = b""
        value = b"" if key is None and value is None else value
        return key, value, [("oda.reason", reason), *headers]

    @contextmanager
    def _refusals(self, topic: str) -> Iterator[None]:
        """What a topic, or the producer for it, says to what will never be taken."""
        try:
            yield
        except MessageSizeTooLargeError:
            raise Refused(
                f"topic {topic} takes no message of more than {self._topics[topic].limit} bytes, and a larger one "
                "is to be written. Raise its max.message.bytes; Kafka's own is 1048588."
            ) from None
        except (PolicyViolationError, TopicAuthorizationFailedError) as error:
            raise Refused(f"topic {topic}: {error}") from None

    # -- reading --------------------------------------------------------------------------------

    def rows(self, kind: Kind[Any], part: Part | None = None) -> Found:
        """Rows of the topic of a kind, or those that were written from some time on.

        Those of other readings' topics are left out.

        Of a rejected message: key, value, whether it has a reason, and whether that says that the copy is cut.

        Raises:
            UserError: the beginning of the topic is gone, or there is no such topic.
        """
        with self._reader(kind) as (consumer, parts):
            ends = consumer.end_offsets(parts)
            starts = dict.fromkeys(parts, 0) if part is None else _written(consumer, ends, part.written)
            for there, end in ends.items():
                if part is None:
                    require_beginning(consumer, there)
                for record in read(consumer, there, starts[there], end):
                    yield from self._rejected(record) if kind is REJECTED else self._row(kind, record)

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> list[Document]:
        """One series' rows with `since <= time < until` (epoch ms), by time. Looks through the whole topic."""
        found = {}
        with self._reader(kind) as (consumer, parts):
            starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            for part in parts:
                for record in read(consumer, part, starts[part], ends[part]):
                    for place, row in self._row(kind, record):
                        if row.get("series") == series and since <= row[kind.time] < until:
                            found[place] = row
        return sorted(
            found.values(), key=lambda row: [row[field] for field in (kind.time, "partition", *kind.identity)]
        )

    def _row(self, kind: Kind[Any], record: Any) -> Iterator[tuple[str, Document]]:
        try:
            row = msgspec.json.decode(record.value, type=dict[str, Any])
            if row["topic"] == self._config.readings:
                yield kind.place(row), row
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # also msgspec's errors
            yield f"{record.topic}[{record.partition}]@{record.offset}", {"not a row": str(error)}

    def _rejected(self, record: Any) -> Iterator[tuple[tuple[int, int], Document]]:
        headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        if headers.get("oda.topic") != self._config.readings:
            return
        try:
            origin = int(headers["oda.partition"]), int(headers["oda.offset"])
        except (KeyError, ValueError):
            origin = (-1, record.offset)
        reason = headers.get("oda.reason", "")
        row = {"key": record.key, "value": record.value, "has a reason": bool(reason), "cut": reason.endswith(CUT)}
        yield origin, row

    @contextmanager
    def _reader(self, kind: Kind[Any]) -> Iterator[tuple[Any, list[TopicPartition]]]:
        fetch = {"max_poll_records": 20_000, "max_partition_fetch_bytes": 16 * 2**20}
        consumer = client.consumer(self._config, auto_offset_reset="none", **fetch)
        try:
            with client.explained(self._config):
                yield consumer, partitions_of(consumer, self._names[kind.name])
        finally:
            consumer.close()


def partitions_of(consumer: Any, topic: str) -> list[TopicPartition]:
    """All of a topic. Raises UserError when it doesn't exist."""
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise UserError(f"there is no topic {topic}: nothing to audit. Has the topology run yet?")
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def require_beginning(consumer: Any, part: TopicPartition, start: int = 0) -> None:
    """Raises UserError if retention has taken what is at offset `start` of a partition."""
    if consumer.beginning_offsets([part])[part] > start:
        raise UserError(
            f"the beginning of topic {part.topic}, partition {part.partition}, is gone (retention deletes old "
            f"records){f' up to beyond offset {start}' if start else ''}: what it gave can't be audited. Audit a topic "
            "with retention.ms=-1, under its own group, or begin `oda verify --every` before retention does."
        )


def read(consumer: Any, part: TopicPartition, start: int, end: int) -> Iterator[Any]:
    """The records of a partition from `start` on, before `end`. Raises UserError when they don't come."""
    consumer.assign([part])
    consumer.seek(part, start)
    for _, records in read_to_end(consumer, {part: end}):
        yield from records


def _written(consumer: Any, ends: Mapping[TopicPartition, int], since: int) -> dict[TopicPartition, int]:
    """Where in each partition the first record is that was written at `since`, epoch ms, or later."""
    found = consumer.offsets_for_times(dict.fromkeys(ends, since))
    return {part: ends[part] if found.get(part) is None else found[part].offset for part in ends}


def _fitted(message: Rejected, room: int) -> tuple[bytes | None, bytes | None, bytes]:
    """Key, value and reason of a rejected message, in no more than `room` bytes."""
    key, value, reason = message.key, message.value, message.reason.encode()
    room -= _OVERHEAD_BYTES + len(reason)
    if len(key or b"") + len(value or b"") <= room:
        return key, value, reason
    room = max(0, room - len(CUT))
    key = key and key[: room // 2]
    return key, value and value[: room - len(key or b"")], reason + CUT.encode()


def _size(header: tuple[str, bytes]) -> int:
    return len(header[0]) + len(header[1])
