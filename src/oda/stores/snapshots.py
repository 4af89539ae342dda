"""Snapshots of the window bolt's partitions, in Cassandra.

A snapshot may be larger than a Cassandra row should be, so it is written as chunks first, then its
head is pointed at them, by a compare-and-set.

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
from oda.stores.session import open_keyspace

CHUNK_BYTES = 512 * 1024

_KEY = '"group" = ? AND topic = ? AND partition = ?'
_COLUMNS = '"group", topic, partition, version, owner'


class FencedError(FatalError):
    """Somebody else has claimed the partition, or saved a snapshot of it."""


class Head(NamedTuple):
    """What names the newest snapshot: its version, who saved or claimed it, and how many chunks it has."""

    version: int
    owner: uuid.UUID
    chunks: int


class SnapshotStore:
    """Loads and saves the newest snapshot of each partition of one group and topic."""

    def __init__(self, settings: Settings) -> None:
        self._id = (settings.kafka.group, settings.kafka.readings)
        self._owner = uuid.uuid4()
        self._session = session = open_keyspace(settings.cassandra)
        heads = f"{settings.cassandra.keyspace}.snapshots"
        chunks = f"{settings.cassandra.keyspace}.snapshot_chunks"
        self._read_head = session.prepare(f"SELECT version, owner, chunks FROM {heads} WHERE {_KEY}")
        self._read_head.consistency_level = ConsistencyLevel.LOCAL_SERIAL  # sees a compare-and-set under way
        self._first_head = session.prepare(
            f"INSERT INTO {heads} ({_COLUMNS}, chunks) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
        )
        self._next_head = session.prepare(
            f"UPDATE {heads} SET version = ?, owner = ?, chunks = ? WHERE {_KEY} IF version = ? AND owner = ?"
        )
        of_version = f"{_KEY} AND version = ? AND owner = ?"
        self._read_chunks = session.prepare(f"SELECT data FROM {chunks} WHERE {of_version}")
        self._write_chunk = session.prepare(
            f"INSERT INTO {chunks} ({_COLUMNS}, chunk, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._delete_chunks = session.prepare(f"DELETE FROM {chunks} WHERE {of_version}")
        self._heads: dict[int, Head] = {}

    def load(self, partition: int) -> bytes | None:
        """Claim a partition; returns its newest snapshot, or None. May be repeated.

        Raises:
            LookupError: somebody else claimed it or saved a snapshot just now.
        """
        found = self._head(partition)
        if found is None:
            self._replace(partition, None, Head(-1, self._owner, 0))
            return None
        chunks = [row.data for row in self._execute(self._read_chunks, partition, found.version, found.owner)]
        if len(chunks) != found.chunks:
            raise LookupError(
                f"snapshot {found.version} of partition {partition}: {len(chunks)} of {found.chunks} chunks"
            )
        self._replace(partition, found, Head(found.version, self._owner, found.chunks), chunks)
        return b"".join(chunks) if chunks else None

    def save(self, partition: int, version: int, data: bytes) -> None:
        """Make a snapshot durable; returns when it is. May be repeated. The partition must have been loaded.

        Raises:
            FencedError: another process has claimed the partition.
        """
        chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        try:
            self._replace(partition, self._heads[partition], Head(version, self._owner, len(chunks)), chunks)
        except LookupError as error:
            raise FencedError(f"{error}; is another topology running on the same oda.kafka.group?") from None

    def _replace(self, partition: int, former: Head | None, head: Head, chunks: list[bytes] | tuple[()] = ()) -> None:
        """Write chunks, point the head at them, and delete those that it named before.

        Raises:
            LookupError: the head is not `former` any more.
        """
        if head != former:
            key = (*self._id, partition, head.version, head.owner)
            execute_concurrent_with_args(
                self._session, self._write_chunk, [(*key, n, part) for n, part in enumerate(chunks)]
            )
            if not self._point(partition, former, head).was_applied and (found := self._head(partition)) != head:
                # It may be ours after all, if this is the repetition of an attempt whose answer got lost.
                self._execute(self._delete_chunks, partition, head.version, head.owner)
                raise LookupError(f"partition {partition} was taken over by another process: {found}, not {former}")
            if former is not None and former.chunks:
                self._execute(self._delete_chunks, partition, former.version, former.owner)
        self._heads[partition] = head

    def _point(self, partition: int, former: Head | None, head: Head) -> ResultSet:
        if former is None:
            return self._session.execute(self._first_head, (*self._id, partition, *head))
        row = (*head, *self._id, partition, former.version, former.owner)
        return self._session.execute(self._next_head, row)

    def _head(self, partition: int) -> Head | None:
        row = self._execute(self._read_head, partition).one()
        return None if row is None else Head(*row)

    def _execute(self, statement: object, partition: int, *values: object) -> ResultSet:
        return self._session.execute(statement, (*self._id, partition, *values))
