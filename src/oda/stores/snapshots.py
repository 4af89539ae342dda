"""Snapshots of the window bolt's partitions, in Cassandra.

A snapshot may be larger than a Cassandra row should be, so it is written as chunks first, then its
head is pointed at them: by a compare-and-set that lets versions only grow. So of two processes that
work on one partition (a zombie, a topology submitted twice) only one can save a version, and the
other learns that it is not alone before anything that depends on its snapshot leaves it.
"""

from __future__ import annotations

import uuid
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.concurrent import execute_concurrent_with_args

from oda.settings import Settings
from oda.stores.background import FatalError
from oda.stores.cassandra import connect

CHUNK_BYTES = 512 * 1024

_KEY = '"group" = ? AND topic = ? AND partition = ?'
_COLUMNS = '"group", topic, partition, version, owner'


class FencedError(FatalError):
    """Somebody else has saved a snapshot as new as ours or newer."""


class SnapshotStore:
    """Loads and saves the newest snapshot of each partition of one group and topic."""

    def __init__(self, settings: Settings) -> None:
        self._id = (settings.kafka.group, settings.kafka.readings)
        self._owner = uuid.uuid4()
        self._session = session = connect(settings.cassandra)
        heads = f"{settings.cassandra.keyspace}.snapshots"
        chunks = f"{settings.cassandra.keyspace}.snapshot_chunks"
        self._read_head = session.prepare(f"SELECT version, owner, chunks FROM {heads} WHERE {_KEY}")
        self._read_head.consistency_level = ConsistencyLevel.LOCAL_SERIAL  # sees a compare-and-set under way
        self._first_head = session.prepare(
            f"INSERT INTO {heads} ({_COLUMNS}, chunks) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
        )
        self._next_head = session.prepare(
            f"UPDATE {heads} SET version = ?, owner = ?, chunks = ? WHERE {_KEY} IF version < ?"
        )
        of_version = f"{_KEY} AND version = ? AND owner = ?"
        self._read_chunks = session.prepare(f"SELECT data FROM {chunks} WHERE {of_version}")
        self._write_chunk = session.prepare(
            f"INSERT INTO {chunks} ({_COLUMNS}, chunk, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._delete_chunks = session.prepare(f"DELETE FROM {chunks} WHERE {of_version}")
        self._newest: dict[int, tuple[int, uuid.UUID]] = {}

    def load(self, partition: int) -> bytes | None:
        """The newest snapshot of a partition, or None.

        Raises:
            LookupError: a chunk is missing, as when a newer snapshot replaced it just now.
        """
        head = self._session.execute(self._read_head, (*self._id, partition)).one()
        if head is None:
            return None
        self._newest[partition] = head.version, head.owner
        rows = self._session.execute(self._read_chunks, (*self._id, partition, head.version, head.owner))
        chunks = [row.data for row in rows]
        if len(chunks) != head.chunks:
            raise LookupError(
                f"snapshot {head.version} of partition {partition}: {len(chunks)} of {head.chunks} chunks"
            )
        return b"".join(chunks)

    def save(self, partition: int, version: int, data: bytes) -> None:
        """Make a snapshot durable; returns when it is. May be repeated.

        Raises:
            FencedError: another process has saved this version or a newer one.
        """
        pieces = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        key = (*self._id, partition, version, self._owner)
        execute_concurrent_with_args(
            self._session, self._write_chunk, [(*key, n, part) for n, part in enumerate(pieces)]
        )
        self._point_at(partition, version, len(pieces))
        former = self._newest.get(partition)
        if former is not None and former != (version, self._owner):
            self._session.execute(self._delete_chunks, (*self._id, partition, *former))
        self._newest[partition] = version, self._owner

    def _point_at(self, partition: int, version: int, chunks: int) -> None:
        row: tuple[Any, ...] = (version, self._owner, chunks)
        if partition in self._newest:
            result = self._session.execute(self._next_head, (*row, *self._id, partition, version))
        else:
            result = self._session.execute(self._first_head, (*self._id, partition, *row))
        if not result.was_applied:
            # Ours after all, if this is the repetition of an attempt whose answer got lost.
            head = self._session.execute(self._read_head, (*self._id, partition)).one()
            if (head.version, head.owner) != (version, self._owner):
                raise FencedError(
                    f"snapshot {head.version} was saved by another process, ours is {version}; "
                    "is another topology running on the same oda.kafka.group?"
                )
