"""Cassandra, the online store: a session, and the writer of windows, anomalies and readings.

Every write carries the spout's clock as its timestamp. What a row holds follows from the log, so a
replay writes the same again; the clock (not the offset) as timestamp lets
TimeWindowCompactionStrategy drop expired days as whole files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from cassandra import ConsistencyLevel, Unauthorized
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.concurrent import execute_concurrent
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy
from cassandra.pool import Host
from cassandra.query import BatchStatement, BatchType, BoundStatement

from oda.core.batch import Batch, joined
from oda.core.rows import Anomaly, ClosedWindow
from oda.settings import Cassandra
from oda.stores import archive
from oda.stores.schema import EXPIRING, TABLES, cassandra_statements, ttl_seconds

_REQUEST_ROWS = 30
_REQUEST_BYTES = 2**20
"""Where a request ends; Cassandra is set up to take 5 MiB (cluster/cassandra/cassandra.yaml)."""

RECONNECTION = ExponentialReconnectionPolicy(base_delay=1.0, max_delay=5.0, max_attempts=None)
"""The driver's own lets pauses grow to ten minutes, and gives a node up after 64 attempts."""

_EPOCH_DAY = 2**31  # a CQL date is a day number with 1970-01-01 in the middle

_INSERT = {
    "windows": "series, day, start, partition, end, count, mean, stddev, "
    "first_offset, last_offset, closed_at, closed_by, late",
    "anomalies": "series, day, time, partition, offset, value, mean, stddev, count, window_start",
    "readings": "series, day, partition, first_offset, last_offset, data",
}


def open_session(settings: Cassandra) -> Session:
    """Open a session; changes nothing.

    Raises:
        cassandra.cluster.NoHostAvailable: no host answers.
    """
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=settings.timeout_ms / 1000,
    )
    cluster = Cluster(
        settings.contact_points,
        port=settings.port,
        protocol_version=5,  # of Cassandra 4 and 5; finding it out costs a reconnect and a warning each
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=settings.timeout_ms / 1000,
        control_connection_timeout=settings.timeout_ms / 1000,
        reconnection_policy=RECONNECTION,
    )
    try:
        return cluster.connect()
    except BaseException:
        cluster.shutdown()
        raise


def connect(settings: Cassandra) -> Session:
    """Open a session; makes the keyspace and tables if they are missing, and sets how long rows live from now on.

    Raises as `open_session` does.
    """
    session = open_session(settings)
    # Changes of the schema that meet on two nodes can clash: only the first start ever makes one.
    existing, ttl = session.cluster.metadata.keyspaces.get(settings.keyspace), ttl_seconds(settings)
    try:
        if existing is None or not existing.tables.keys() >= TABLES:
            for statement in cassandra_statements(settings):
                session.execute(statement)
        for table in _other_ttl(session, settings):
            with suppress(Unauthorized):  # then it is one of the `ignored`
                session.execute(f"ALTER TABLE {settings.keyspace}.{table} WITH default_time_to_live = {ttl}")
    except BaseException:
        session.cluster.shutdown()
        raise
    return session


def ignored(session: Session, settings: Cassandra) -> list[str]:
    """What of the settings the keyspace does not follow, for the log."""
    notes = [
        f"oda.cassandra.ttl_days is {settings.ttl_days}, and rows of {settings.keyspace}.{table} live for {found} s: "
        f"this account may not alter it. Let another one set its default_time_to_live to {ttl_seconds(settings)}."
        for table, found in _other_ttl(session, settings).items()
    ]
    strategy = session.cluster.metadata.keyspaces[settings.keyspace].replication_strategy
    factors = getattr(strategy, "dc_replication_factors", None) or {"": getattr(strategy, "replication_factor", None)}
    if set(factors.values()) != {settings.replication}:
        notes.append(
            f"oda.cassandra.replication is {settings.replication}, and keyspace {settings.keyspace} was made with "
            f"{strategy.export_for_schema()}, which it keeps: to change that takes ALTER KEYSPACE, and then "
            "`nodetool repair --full` on each node, or rows are missing."
        )
    return notes


def _other_ttl(session: Session, settings: Cassandra) -> dict[str, int]:
    """The tables that give rows another life than the settings say, and which, in seconds."""
    tables = session.cluster.metadata.keyspaces[settings.keyspace].tables
    found = {table: int(tables[table].options["default_time_to_live"]) for table in EXPIRING}
    return {table: ttl for table, ttl in found.items() if ttl != ttl_seconds(settings)}


class CassandraWriter:
    """Writes results and the archive, many rows at a time. A failed call may be repeated whole.

    Attributes:
        notes: what of the settings the keyspace does not follow, for the log.
    """

    def __init__(self, settings: Cassandra) -> None:
        self._session = connect(settings)
        self.notes = ignored(self._session, settings)
        self._insert = {
            table: self._session.prepare(
                f"INSERT INTO {settings.keyspace}.{table} ({_quoted(columns)}) "
                f"VALUES ({', '.join('?' * len(columns.split(', ')))}) USING TIMESTAMP ?"
            )
            for table, columns in _INSERT.items()
        }
        self._batches: list[Batch] = []
        self._pending: defaultdict[tuple[str, str, int], list[tuple[Any, ...]]] = defaultdict(list)

    def windows(self, partition: int, clock: int, rows: Iterable[ClosedWindow]) -> None:
        """Add closed windows to the next flush; `clock` in epoch ms."""
        for row in rows:
            self._add(
                "windows",
                clock,
                *(row.series, _day(row.start), row.start, partition, row.end, row.count, row.mean, row.stddev),
                *(row.first_offset, row.last_offset, row.closed_at, row.closed_by, row.late),
            )

    def anomalies(self, partition: int, clock: int, rows: Iterable[Anomaly]) -> None:
        """Add anomalies to the next flush."""
        for row in rows:
            self._add(
                "anomalies",
                clock,
                *(row.series, _day(row.time), row.time, partition, row.offset, row.value),
                *(row.mean, row.stddev, row.count, row.window_start),
            )

    def readings(self, batch: Batch) -> None:
        """Add a batch's readings to the next flush."""
        self._batches.append(batch)

    def flush(self) -> None:
        """Write what was added; returns when Cassandra has acknowledged all of it."""
        batches, self._batches = self._batches, []
        # Together, those that chain: a row of a sparse series' few readings costs as much as one of many.
        for batch in joined(batches):
            for row in archive.pack(*batch.readings):
                place = (row.series, row.day + _EPOCH_DAY, batch.partition, row.first_offset, row.last_offset)
                self._add("readings", batch.clock, *place, row.data)
        pending, self._pending = self._pending, defaultdict(list)
        by_replica: defaultdict[Host | None, list[BoundStatement]] = defaultdict(list)
        for (table, _, _), rows in pending.items():
            bound = [self._insert[table].bind(row) for row in rows]
            by_replica[self._replica(bound[0])] += bound
        writes = [(request, ()) for rows in by_replica.values() for request in _requests(rows)]
        execute_concurrent(self._session, writes, concurrency=128, raise_on_first_error=True)

    def _replica(self, row: BoundStatement) -> Host | None:
        """The node that has the row's partition first; None while the driver does not know it yet."""
        replicas = self._session.cluster.metadata.get_replicas(row.keyspace, row.routing_key)
        return replicas[0] if replicas else None

    def _add(self, table: str, clock: int, series: str, day: int, *values: Any) -> None:
        self._pending[table, series, day].append((series, day, *values, clock * 1000))


def _requests(rows: Iterable[BoundStatement]) -> Iterator[BatchStatement]:
    """Requests of rows of one node: one for each row would cost more than the rows, most of all with many series."""
    batch, size = BatchStatement(BatchType.UNLOGGED), 0
    for row in rows:
        if len(batch) >= _REQUEST_ROWS or size >= _REQUEST_BYTES:
            yield batch
            batch, size = BatchStatement(BatchType.UNLOGGED), 0
        batch.add(row)
        size += len(row.values[-2])  # before the timestamp; the packed readings are what is large
    yield batch


def _quoted(columns: str) -> str:
    return columns.replace(" end,", ' "end",')


def _day(time: int) -> int:
    return time // archive.DAY_MS + _EPOCH_DAY
