"""Snapshots of the partitions of machines, in Cassandra.

A snapshot is a whole state and the changes to it since: parts, each written as chunks, since it may be larger than a
row of Cassandra should be. Its head is pointed at them then, by a compare-and-set.

A partition has one owner. Who loads its snapshot claims the head, and saves only while the head is as
it was left: of two processes that work on one partition (a zombie, a topology submitted twice) the
newer one goes on, and the other learns with its next save that it is not alone. So heads never go back,
and what was acknowledged, and so committed, lies before the newest.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import ResultSet
from cassandra.concurrent import execute_concurrent_with_args

from oda.settings import Settings
from oda.stores.background import FatalError
from oda.stores.keyspace import SNAPSHOT_TABLES
from oda.stores.session import open_keyspace

CHUNK_BYTES = 512 * 1024

_KEY = '"group" = ? AND topic = ? AND partition = ?'
_COLUMNS = '"group", topic, partition, version, owner'


class FencedError(FatalError):
    """Somebody else has claimed the partition, or saved a snapshot of it."""


class Part(NamedTuple):
    """A whole state, or what changed up to a version: who saved it, in how many chunks."""

    version: int
    owner: uuid.UUID
    chunks: int


class Head(NamedTuple):
    """What names the newest snapshot: its version, who saved or claimed it, and its parts in order."""

    version: int
    owner: uuid.UUID
    parts: tuple[Part, ...]


class SnapshotStore:
    """Loads and saves the newest snapshot of each partition of one group and topic.

    Args:
        settings: which keyspace, group and topic.
        machine: whose snapshots, by its name.
    """

    def __init__(self, settings: Settings, machine: str) -> None:
        self._id = (settings.kafka.group, settings.kafka.readings)
        self._owner = uuid.uuid4()
        self._session = session = open_keyspace(settings.cassandra)
        heads, chunks = (f"{settings.cassandra.keyspace}.{table}" for table in SNAPSHOT_TABLES[machine])
        self._read_head = session.prepare(f"SELECT version, owner, parts FROM {heads} WHERE {_KEY}")
        self._read_head.consistency_level = ConsistencyLevel.LOCAL_SERIAL  # sees a compare-and-set under way
        self._first_head = session.prepare(
            f"INSERT INTO {heads} ({_COLUMNS}, parts) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
        )
        self._next_head = session.prepare(
            f"UPDATE {heads} SET version = ?, owner = ?, parts = ? WHERE {_KEY} IF version = ? AND owner = ?"
        )
        of_version = f"{_KEY} AND version = ? AND owner = ?"
        self._read_chunks = session.prepare(f"SELECT data FROM {chunks} WHERE {of_version}")
        self._write_chunk = session.prepare(
            f"INSERT INTO {chunks} ({_COLUMNS}, chunk, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._delete_chunks = session.prepare(f"DELETE FROM {chunks} WHERE {of_version}")
        self._heads: dict[int, Head] = {}

    def load(self, partition: int) -> list[bytes]:
        """Claim a partition; returns the parts of its newest snapshot, or none. May be repeated.

        Raises:
            LookupError: somebody else claimed it or saved a snapshot just now.
        """
        found = self._head(partition)
        parts = [self._read(partition, part) for part in found.parts] if found else []
        head = found._replace(owner=self._owner) if found else Head(-1, self._owner, ())
        self._replace(partition, found, head)
        self._heads[partition] = head
        return parts

    def save(self, partition: int, version: int, data: bytes, is_whole: bool) -> None:
        """Make a snapshot durable; returns when it is. May be repeated. The partition must have been loaded.

        Args:
            partition: of the readings.
            version: greater than that of the snapshot before.
            data: the whole state, or what has changed since the snapshot before.
            is_whole: which of the two.

        Raises:
            FencedError: another process has claimed the partition.
        """
        former = self._heads[partition]
        chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        part = Part(version, self._owner, len(chunks))
        if part in former.parts:  # a repetition
            return
        head = Head(version, self._owner, (part,) if is_whole else (*former.parts, part))
        self._write(partition, part, chunks)
        try:
            self._replace(partition, former, head)
        except LookupError as error:
            self._delete(partition, part)
            raise FencedError(f"{error}; is another topology running on the same oda.kafka.group?") from None
        for old in former.parts if is_whole else ():
            self._delete(partition, old)
        self._heads[partition] = head

    def _replace(self, partition: int, former: Head | None, head: Head) -> None:
        """Point at another head.

        Raises:
            LookupError: the head is not `former` any more.
        """
        # It may be ours after all, if this is the repetition of an attempt whose answer got lost.
        if not self._point(partition, former, head).was_applied and (found := self._head(partition)) != head:
            raise LookupError(f"partition {partition} was taken over by another process: {found}, not {former}")

    def _point(self, partition: int, former: Head | None, head: Head) -> ResultSet:
        if former is None:
            return self._session.execute(self._first_head, (*self._id, partition, *head))
        row = (*head, *self._id, partition, former.version, former.owner)
        return self._session.execute(self._next_head, row)

    def _head(self, partition: int) -> Head | None:
        row = self._execute(self._read_head, partition).one()
        return None if row is None else Head(row.version, row.owner, tuple(Part(*part) for part in row.parts or ()))

    def _read(self, partition: int, part: Part) -> bytes:
        chunks = [row.data for row in self._execute(self._read_chunks, partition, part.version, part.owner)]
        if len(chunks) != part.chunks:
            raise LookupError(f"snapshot {part} of partition {partition} has {len(chunks)} chunks")
        return b"".join(chunks)

    def _write(self, partition: int, part: Part, chunks: list[bytes]) -> None:
        key = (*self._id, partition, part.version, part.owner)
        rows = [(*key, number, data) for number, data in enumerate(chunks)]
        execute_concurrent_with_args(self._session, self._write_chunk, rows)

    def _delete(self, partition: int, part: Part) -> None:
        self._execute(self._delete_chunks, partition, part.version, part.owner)

    def _execute(self, statement: object, partition: int, *values: object) -> ResultSet:
        return self._session.execute(statement, (*self._id, partition, *values))
