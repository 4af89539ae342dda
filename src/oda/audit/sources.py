"""Where the audit reads: the log and the results in Kafka, Cassandra, Elasticsearch. Reads only.

Every row comes out as an identity and a document, so that all stores are compared alike. The
identity is the row's place in the log, after the place in the store where it belongs: its day in
Cassandra, its index in Elasticsearch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import elastic_transport
import msgspec
import numpy as np
from cassandra import DriverException, InvalidRequest, UnresolvableContactPoints
from cassandra.cluster import NoHostAvailable
from elasticsearch import ApiError
from elasticsearch import Elasticsearch as Client
from elasticsearch.helpers import ScanError, scan
from kafka import TopicPartition
from kafka.protocol.consumer import OffsetSpec

from oda.audit.expected import Document
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.problems import lost_its_end
from oda.kafka.reader import read_to_end
from oda.settings import Cassandra, Elasticsearch, Kafka
from oda.stores.archive import DAY_MS
from oda.stores.cassandra import open_session
from oda.stores.kafka import CUT

Found = Iterator[tuple[str, Document]]


@dataclass(frozen=True)
class Kind:
    """Windows or anomalies: what each store calls them, which field says when, which one says where."""

    name: str
    time: str
    offset: str

    def place(self, row: Document) -> str:
        """The row's place in the log; its `_id` in Elasticsearch."""
        return f"{row['topic']}:{row['partition']}:{row[self.offset]}"

    def by_day(self, row: Document) -> str:
        """Identity in Cassandra."""
        return _in_day(row[self.time] // DAY_MS, self.place(row))

    def by_index(self, prefix: str, row: Document) -> str:
        """Identity in Elasticsearch."""
        month = str(np.datetime64(row[self.time], "ms").astype("datetime64[M]")).replace("-", ".")
        period = month if month >= "2020" else month[:3] + "0s"
        return f"{prefix}-{self.name}-{period}/{self.place(row)}"


WINDOWS = Kind("windows", time="start", offset="first_offset")
ANOMALIES = Kind("anomalies", time="time", offset="offset")


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
    """Topics, from their beginnings.

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
            self._partitions(self._settings.readings)
            return client.topic_id(self._consumer, self._settings.readings)

    def positions(self) -> Positions:
        """How far the group has come.

        Raises:
            UserError: there is no such topic, or it lost its end.
        """
        with self._errors():
            parts = self._partitions(self._settings.readings)
            committed = {part.partition: self._committed(part) for part in parts}
            found = self._admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
            ends = {part.partition: found[part].offset for part in parts}
            readable = {part.partition: end for part, end in self._consumer.end_offsets(parts).items()}
        for partition, end in ends.items():
            if committed[partition] > end:
                raise UserError(lost_its_end(self._settings.readings, partition, committed[partition]))
        held = {partition: end for partition, end in readable.items() if end < ends[partition]}
        return Positions(committed, ends, held)

    def _committed(self, part: TopicPartition) -> int:
        found = self._consumer.committed(part, metadata=True)
        if found is None:
            return 0
        if found.metadata:  # the spout noted what it found
            raise UserError(found.metadata)
        return int(found.offset)

    def records(self, partition: int, end: int) -> Iterator[Any]:
        """The records of one partition of the readings' topic before offset `end`.

        Raises:
            UserError: the beginning of the log is gone.
        """
        with self._errors():
            yield from self._read(TopicPartition(self._settings.readings, partition), end)

    def results(self, kind: Kind) -> Found:
        """Rows of the topic of windows or anomalies; those of other readings' topics are left out.

        Raises:
            UserError: the beginning of the log is gone, or there is no such topic.
        """
        for record in self._whole(self._settings.windows if kind is WINDOWS else self._settings.anomalies):
            try:
                row = msgspec.json.decode(record.value, type=dict[str, Any])
                if row["topic"] != self._settings.readings:
                    continue
                place = kind.place(row)
            except (ValueError, KeyError, TypeError, RecursionError) as error:  # also msgspec's errors
                place, row = f"{record.topic}[{record.partition}]@{record.offset}", {"not a row": str(error)}
            yield place, row

    def rejected(self) -> Iterator[tuple[tuple[int, int], Document]]:
        """Rejected messages by (partition, offset) of their origin; those of other topics are left out.

        `cut` tells whether the reason says that the topic did not take the whole message.

        Raises:
            UserError: the beginning of the log is gone, or there is no such topic.
        """
        for record in self._whole(self._settings.rejected):
            headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
            if headers.get("oda.topic") != self._settings.readings:
                continue
            try:
                origin = int(headers["oda.partition"]), int(headers["oda.offset"])
            except (KeyError, ValueError):
                origin = (-1, record.offset)
            reason = headers.get("oda.reason", "")
            row = {"key": record.key, "value": record.value, "has a reason": bool(reason), "cut": reason.endswith(CUT)}
            yield origin, row

    def _whole(self, topic: str) -> Iterator[Any]:
        with self._errors():
            for part, end in self._consumer.end_offsets(self._partitions(topic)).items():
                yield from self._read(part, end)

    def _read(self, part: TopicPartition, end: int) -> Iterator[Any]:
        if self._consumer.beginning_offsets([part])[part] > 0:
            raise UserError(
                f"the beginning of topic {part.topic}, partition {part.partition}, is gone (retention deletes old "
                "records): what it gave can't be audited. Audit a topic with retention.ms=-1, under its own group."
            )
        self._consumer.assign([part])
        self._consumer.seek(part, 0)
        for _, records in read_to_end(self._consumer, {part: end}):
            yield from records

    def _partitions(self, topic: str) -> list[TopicPartition]:
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise UserError(f"there is no topic {topic}: nothing to audit. Has the topology run yet?")
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    def _errors(self) -> AbstractContextManager[None]:
        return client.explained(self._settings)


_COLUMNS = {
    WINDOWS: 'series, to_unix_timestamp(start) AS start, partition, to_unix_timestamp("end") AS "end", count, mean, '
    "stddev, first_offset, last_offset, closed_at, closed_by, late",
    ANOMALIES: "series, to_unix_timestamp(time) AS time, partition, offset, value, mean, stddev, count, "
    "to_unix_timestamp(window_start) AS window_start",
}
_DAY = "to_unix_timestamp(day) AS day"


class Online:
    """Cassandra: whole tables. Its rows don't name the topic: a keyspace belongs to one.

    Raises:
        UserError: Cassandra can't be reached or has no such keyspace, here or in any method.
    """

    def __init__(self, settings: Cassandra, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        with self._errors():
            self._session = open_session(settings)

    def close(self) -> None:
        self._session.cluster.shutdown()

    def log_id(self) -> UUID | None:
        """Kafka's id of the topic that the rows are of; None if there was none noted yet."""
        select = f"SELECT id FROM {self._settings.keyspace}.topics WHERE topic = %s"
        with self._errors(), suppress(InvalidRequest):  # no such keyspace or table: the topology has not run yet
            row = self._session.execute(select, [self._topic]).one()
            return row.id if row else None
        return None

    def results(self, kind: Kind) -> Found:
        """Rows of the table `windows` or `anomalies`."""
        for values in self._select(f"{_DAY}, {_COLUMNS[kind]}", kind.name):
            row = {"topic": self._topic, **values._asdict()}
            day = row.pop("day") // DAY_MS
            yield _in_day(day, kind.place(row)), row

    def readings(self) -> Iterator[Any]:
        """Rows of the archive with the fields `series`, `day` (epoch ms), `partition`, ..., as the table has them."""
        return self._select(f"series, {_DAY}, partition, first_offset, last_offset, data", "readings")

    def _select(self, columns: str, table: str) -> Iterator[Any]:
        with self._errors():
            yield from self._session.execute(f"SELECT {columns} FROM {self._settings.keyspace}.{table}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (NoHostAvailable, UnresolvableContactPoints):
            raise UserError(
                f"no answer from Cassandra at oda.cassandra.hosts = {self._settings.hosts}; start it with `oda up`"
            ) from None
        except InvalidRequest as error:  # no such keyspace or table
            raise UserError(f"Cassandra: {error}; has the topology run yet?") from None
        except DriverException as error:
            raise UserError(f"Cassandra at oda.cassandra.hosts = {self._settings.hosts}: {error}") from None


class Insights:
    """Elasticsearch: all documents of one topic.

    Raises:
        UserError: Elasticsearch can't be reached, in any method.
    """

    def __init__(self, settings: Elasticsearch, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._client = Client(settings.urls.split(","), request_timeout=settings.timeout_ms / 1000)

    def close(self) -> None:
        self._client.close()

    def results(self, kind: Kind) -> Found:
        """Documents of the indexes of windows or anomalies; none if there is no index."""
        index = f"{self._settings.prefix}-{kind.name}-*"
        try:
            self._client.indices.refresh(index=index)
            for hit in scan(self._client, index=index, query={"query": {"term": {"topic": self._topic}}}, size=5000):
                yield f"{hit['_index']}/{hit['_id']}", hit["_source"]
        except elastic_transport.TransportError as error:
            reason = "no answer" if isinstance(error, elastic_transport.ConnectionError) else error
            raise UserError(f"Elasticsearch at oda.elasticsearch.urls = {self._settings.urls}: {reason}") from None
        except (ApiError, ScanError) as error:
            raise UserError(f"Elasticsearch at oda.elasticsearch.urls = {self._settings.urls}: {error}") from None


def _in_day(day: int, place: str) -> str:
    return f"{np.datetime64(day, 'D')}/{place}"


def is_beyond(row: Document, kind: Kind, committed: Mapping[int, int]) -> bool:
    """Whether a row that a store holds is beyond the audited part, which ends at the committed positions."""
    try:
        point = committed[row["partition"]]
        return bool(row["offset" if kind is ANOMALIES else "closed_at"] >= point)
    except (KeyError, TypeError):  # no such row is right, so it must be compared
        return False
