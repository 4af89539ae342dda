"""Cassandra, the online store: windows, anomalies, incidents, and the archive of readings.

Every write carries the spout's clock as its timestamp. What a row holds follows from the log, so a
replay writes the same again; the clock (not the offset) as timestamp lets
TimeWindowCompactionStrategy drop expired days as whole files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from cassandra import (
    AuthenticationFailed,
    DriverException,
    InvalidRequest,
    Unauthorized,
    UnresolvableContactPoints,
)
from cassandra.cluster import NoHostAvailable
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.pool import Host
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from oda.core.batch import Batch, joined
from oda.core.groups.definition import is_group
from oda.core.kinds import Document, Kind, Meaning
from oda.errors import Refused, UserError
from oda.settings import Settings
from oda.stores import archive, keyspace
from oda.stores.archive import Columns, Packed
from oda.stores.cells import PACK, Pack, bigint, bound, int_, user_type
from oda.stores.contract import Found, Item, Part, Rows
from oda.stores.place import bucket_of, slot_of
from oda.stores.session import open_session

_REQUEST_ROWS = 30
_REQUEST_BYTES = 2**20
"""Where a request ends; Cassandra is set up to take 5 MiB (cluster/cassandra/cassandra.yaml)."""

_PLACES = 64
"""Partitions of Cassandra that are asked for side by side: of each the answer's first page is kept."""

_READINGS = ("bucket", "slot", "series", "partition", "first_offset", "last_offset", "data")


_MOST_SLOTS = 1_000
"""Slots that are asked for one by one, in each bucket."""

_Partitions = defaultdict[tuple[str, int, int], list[BoundStatement]]
"""Rows by table, bucket and slot."""


class _Insert(NamedTuple):
    """A statement for rows of one kind.

    `key` gives series, time and identity of a row, `more` packs what that has behind the offset; `fields` are those of
    the user type.
    """

    statement: PreparedStatement
    key: Callable[[Any], tuple[Any, ...]]
    more: tuple[Pack, ...]
    fields: tuple[str, ...]
    packs: tuple[Pack, ...]


class CassandraStore:
    """A keyspace. It belongs to one topic of readings: its rows don't name it."""

    def __init__(self, settings: Settings) -> None:
        self.notes: Sequence[str] = ()
        self._settings = settings.cassandra
        self._topic = settings.kafka.readings
        self._group = settings.kafka.group
        with self._explained():
            self._session = open_session(settings.cassandra)
        self._inserts: dict[str, _Insert] = {}
        self._insert_readings: PreparedStatement | None = None
        self._selects: dict[str, PreparedStatement] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._session.cluster.shutdown()

    # -- schema ---------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Make the keyspace, or bring an older one up to date. Raises Refused when that can't be."""
        with self._explained():
            self.notes = keyspace.migrate(self._session, self._settings)

    def drop(self) -> None:
        """Delete the keyspace."""
        with self._explained():
            self._session.execute(f"DROP KEYSPACE IF EXISTS {self._settings.keyspace}")

    # -- writing --------------------------------------------------------------------------------

    def write(self, items: Sequence[Item]) -> None:
        """Write rows and batches; returns when Cassandra has acknowledged all of it.

        Raises:
            Refused: a table lacks a column, a row is too large, this account may not, ...
            cassandra.DriverException, cassandra.cluster.NoHostAvailable: try again.
        """
        with _refusals():
            partitions: _Partitions = defaultdict(list)
            for item in items:
                if isinstance(item, Rows):
                    self._bind_rows(item, partitions)
            # Together, those that chain: a row of a sparse series' few readings costs as much as one of many.
            for batch in joined(item for item in items if isinstance(item, Batch)):
                self._bind_readings(batch, partitions)
            by_replica: defaultdict[Host | None, list[list[BoundStatement]]] = defaultdict(list)
            for rows in partitions.values():
                by_replica[self._replica(rows[0])].append(rows)
            writes = [(request, ()) for parts in by_replica.values() for request in _requests(parts)]
            execute_concurrent(self._session, writes, concurrency=128, raise_on_first_error=True)

    def _bind_rows(self, item: Rows, partitions: _Partitions) -> None:
        table, insert = item.kind.name, self._inserts.get(item.kind.name) or self._prepare(item.kind)
        partition, timestamp = int_(item.partition), bigint(item.clock * 1000)
        for row in item.rows:
            series, time, offset, *more = insert.key(row)
            bucket, slot = bucket_of(series, self._settings.buckets), slot_of(time)
            fields = user_type(insert.packs, (getattr(row, name, None) for name in insert.fields))
            place = [int_(bucket), int_(slot), series.encode(), bigint(time), partition, bigint(offset)]
            if more:  # of windows, which are most rows, there is no more
                place += [pack(value) for pack, value in zip(insert.more, more, strict=True)]
            cells = [*place, fields, timestamp]
            partitions[table, bucket, slot].append(bound(insert.statement, cells))

    def _bind_readings(self, batch: Batch, partitions: _Partitions) -> None:
        if self._insert_readings is None:
            self._insert_readings = self._session.prepare(self._statement("readings", _READINGS))
        partition, timestamp = int_(batch.partition), bigint(batch.clock * 1000)
        for series, slot, first, last, data in archive.pack(*batch.readings):
            bucket = bucket_of(series, self._settings.buckets)
            place = (int_(bucket), int_(slot), series.encode(), partition, bigint(first), bigint(last))
            cells = [*place, data, timestamp]
            partitions["readings", bucket, slot].append(bound(self._insert_readings, cells))

    def _prepare(self, kind: Kind[Any]) -> _Insert:
        columns = ("bucket", "slot", *keyspace.key_of(kind), "fields")
        statement = self._session.prepare(self._statement(kind.name, columns))
        types = {name: keyspace.TYPES[meaning] for name, meaning in kind.meanings.items()}
        # By name, in the order of the type as it is: a field that was added stands at its end. One that only another
        # version of this program knows stays empty.
        names = statement.column_metadata[-2].type.fieldnames
        packs = tuple(PACK[types[name]] if name in types else bytes for name in names)
        key = attrgetter("series", kind.time, *kind.identity)
        more = tuple(PACK[types[name]] for name in kind.identity[1:])
        insert = self._inserts[kind.name] = _Insert(statement, key, more, names, packs)
        return insert

    def _statement(self, table: str, columns: Iterable[str]) -> str:
        names = [f'"{name}"' for name in columns]
        values = ", ".join("?" * len(names))
        return f"INSERT INTO {self._settings.keyspace}.{table} ({', '.join(names)}) VALUES ({values}) USING TIMESTAMP ?"

    def _replica(self, row: BoundStatement) -> Host | None:
        """The node that has the row's partition first; None while the driver does not know it yet."""
        replicas = self._session.cluster.metadata.get_replicas(row.keyspace, row.routing_key)
        return replicas[0] if replicas else None

    # -- reading --------------------------------------------------------------------------------

    def rows(self, kind: Kind[Any], part: Part | None = None) -> Found:
        """All rows of the table of a kind, or those in some slots."""
        select = f"SELECT bucket, slot, {_columns(kind)} FROM {self._table(kind)}"
        for bucket, slot, *values in self._select(select, part):
            row = self._document(kind, values)
            place = kind.place(row)
            is_there = (bucket, slot) == (bucket_of(row["series"], self._settings.buckets), slot_of(row[kind.time]))
            yield place if is_there else f"bucket {bucket}, slot {slot}: {place}", row

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterator[Document]:
        """One series' rows with `since <= time < until` (epoch ms), by time. Asks all slots side by side."""
        with self._explained():
            keyspace.check(self._session, self._settings)
            select = self._prepared(
                f"SELECT {_columns(kind)} FROM {self._table(kind)} WHERE bucket = ? AND slot = ? AND series = ? "
                f'AND "{kind.time}" >= ? AND "{kind.time}" < ?'
            )
            bucket = bucket_of(series, self._settings.buckets)
            slots = range(slot_of(since), slot_of(until - 1) + 1)
            questions = [(bucket, slot, series, since, until) for slot in slots]
            for _, answer in execute_concurrent_with_args(self._session, select, questions, raise_on_first_error=True):
                yield from (self._document(kind, row) for row in answer)

    def readings(self, part: Part | None = None) -> Iterator[Packed]:
        """All rows of the archive, or those in some slots."""
        columns = "series, slot, partition, first_offset, last_offset, data"
        for row in self._select(f"SELECT bucket, {columns} FROM {self._settings.keyspace}.readings", part):
            is_misplaced = row.bucket != bucket_of(row.series, self._settings.buckets)
            yield Packed._make((*row[1:], is_misplaced))

    def archived(self, series: str, partition: int, since: int, until: int) -> Iterator[Columns]:
        """One series' archived readings with `since <= time < until` (epoch ms), each once.

        By slot of time, and there in the order of the log. Of a group's those that were there before are left out.
        """
        with self._explained():
            keyspace.check(self._session, self._settings)
            select = self._prepared(
                f"SELECT first_offset, data FROM {self._settings.keyspace}.readings "
                "WHERE bucket = ? AND slot = ? AND series = ? AND partition = ?"
            )
            bucket = bucket_of(series, self._settings.buckets)
            questions = [(bucket, slot, series, partition) for slot in range(slot_of(since), slot_of(until - 1) + 1)]
            for _, answer in execute_concurrent_with_args(self._session, select, questions, raise_on_first_error=True):
                newest = -1
                for found in archive.columns(answer):
                    there = (since <= found.times) & (found.times < until)
                    if is_group(series):  # in one slot are all that have one time
                        before = np.maximum.accumulate(np.r_[newest, found.times])
                        there &= found.times > before[:-1]
                        newest = before[-1]
                    yield Columns._make(column[there] for column in found)

    def snapshots(self) -> dict[int, int]:
        """By partition of the readings, when the older one of its machines' newest snapshots was written, epoch ms."""
        found: dict[int, int] = {}
        with self._explained():
            for heads, _ in map(keyspace.SNAPSHOT_TABLES.__getitem__, ("windows", "judgement")):
                select = f'SELECT "group", topic, partition, WRITETIME(version) FROM {self._settings.keyspace}.{heads}'
                for group, topic, partition, written in self._session.execute(select):
                    if (group, topic) == (self._group, self._topic) and written is not None:
                        found[partition] = min(written // 1000, found.get(partition, written))
        return found

    def log_id(self) -> UUID | None:
        """Kafka's id of the topic that the rows are of; None if there was none noted yet."""
        select = f"SELECT id FROM {self._settings.keyspace}.topics WHERE topic = %s"
        with self._explained(), suppress(InvalidRequest):  # no such keyspace or table: the topology has not run yet
            row = self._session.execute(select, [self._topic]).one()
            return row.id if row else None
        return None

    # -- of all series in a span of time: by ten minutes, and within them as they stand

    def rows_between(self, kind: Kind[Any], since: int, until: int) -> Iterator[Document]:
        """Rows with `since <= time < until` (epoch ms)."""
        for answer in self._between(kind.name, _columns(kind), since, until):
            for values in answer:
                row = self._document(kind, values)
                if since <= row[kind.time] < until:
                    yield row

    def readings_between(self, since: int, until: int) -> Iterator[tuple[str, int, list[tuple[int, int, float]]]]:
        """Readings with `since <= time < until` (epoch ms): series, partition, and of these some of the readings."""
        columns = "series, partition, first_offset, data"
        for answer in self._between("readings", columns, since, until):
            for (series, partition), rows in groupby(answer, key=attrgetter("series", "partition")):
                found = archive.readings((row.first_offset, row.data) for row in rows)
                yield series, partition, [one for one in found if since <= one[1] < until]

    def _between(self, table: str, columns: str, since: int, until: int) -> Iterator[Any]:
        """What each partition of a table has whose slot is of that time."""
        name = f"{self._settings.keyspace}.{table}"
        slots = range(slot_of(since), slot_of(until - 1) + 1)
        with self._explained():
            keyspace.check(self._session, self._settings)
            there = self._session.execute(f"SELECT DISTINCT bucket, slot FROM {name}")
            places = sorted((slot, bucket) for bucket, slot in there if slot in slots)
            yield from self._at(f"SELECT {columns} FROM {name}", places)

    def _at(self, statement: str, places: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """What a statement finds in each partition: by slot and bucket, some of them side by side."""
        select = self._prepared(f"{statement} WHERE slot = ? AND bucket = ?")
        for begin in range(0, len(places), _PLACES):
            some = places[begin : begin + _PLACES]
            for _, answer in execute_concurrent_with_args(self._session, select, some, raise_on_first_error=True):
                yield answer

    def _select(self, statement: str, part: Part | None) -> Iterator[Any]:
        """All that a statement finds, or what it finds in some slots, unless there are so many that all is cheaper."""
        with self._explained():
            keyspace.check(self._session, self._settings)
            if part is None or len(part.slots) > _MOST_SLOTS:
                yield from self._session.execute(statement)
                return
            places = [(slot, bucket) for slot in sorted(part.slots) for bucket in range(self._settings.buckets)]
            for answer in self._at(statement, places):
                yield from answer

    def _prepared(self, statement: str) -> PreparedStatement:
        """Prepared once: each time costs a way to every node."""
        found = self._selects.get(statement)
        if found is None:
            found = self._selects[statement] = self._session.prepare(statement)
        return found

    def _table(self, kind: Kind[Any]) -> str:
        return f"{self._settings.keyspace}.{kind.name}"

    def _document(self, kind: Kind[Any], values: Iterable[Any]) -> Document:
        """A row that was written before a field existed does not have it."""
        fields = dict(zip((field.name for field in kind.fields), values, strict=False))
        *_, partition = values
        row = {name: value for name, value in fields.items() if value is not None or name not in kind.later}
        return {"topic": self._topic, "partition": partition, **row}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors that a person can mend."""
        try:
            yield
        except (NoHostAvailable, UnresolvableContactPoints):
            raise UserError(
                f"no answer from Cassandra at oda.cassandra.hosts = {self._settings.hosts}; start it with `oda up`"
            ) from None
        except Unauthorized as error:
            account = f"{self._settings.security.setting}.user = {self._settings.security.user}"
            raise UserError(f"Cassandra: {account} lacks a right, which `oda admin` gives: {error}") from None
        except InvalidRequest as error:  # no such keyspace or table
            raise UserError(f"Cassandra: {error}; has the topology run yet?") from None
        except DriverException as error:
            raise UserError(f"Cassandra at oda.cassandra.hosts = {self._settings.hosts}: {error}") from None


def _columns(kind: Kind[Any]) -> str:
    """What to select for a row: its fields in the order of its type, and the partition; times as epoch ms."""
    own = keyspace.key_of(kind)

    def expression(name: str, meaning: Meaning) -> str:
        column = f'"{name}"' if name in own else f'fields."{name}"'
        return f"to_unix_timestamp({column})" if meaning is Meaning.TIME else column

    return ", ".join([*(expression(field.name, field.meaning) for field in kind.fields), "partition"])


def _requests(partitions: Iterable[list[BoundStatement]]) -> Iterator[BatchStatement]:
    """Requests of rows of one node: one for each row would cost more than the rows.

    A partition's rows are in as few of them as can be: those in one request are one mutation.
    """
    batch, size = BatchStatement(BatchType.UNLOGGED), 0
    for rows in partitions:
        for row in rows:
            if size >= _REQUEST_BYTES:
                yield batch
                batch, size = BatchStatement(BatchType.UNLOGGED), 0
            batch.add(row)
            size += sum(map(len, row.values))
        if len(batch) >= _REQUEST_ROWS:
            yield batch
            batch, size = BatchStatement(BatchType.UNLOGGED), 0
    if len(batch):
        yield batch


@contextmanager
def _refusals() -> Iterator[None]:
    """What Cassandra answers to what it will never do."""
    try:
        yield
    except (InvalidRequest, Unauthorized, AuthenticationFailed) as error:
        raise Refused(f"Cassandra: {error}") from None
