"""The keyspace in Cassandra: what it looks like, and how an older one gets so.

Its tables of rows derive from the kinds. What identifies a row is its key, the other fields are one frozen user type:
a cell each costs Cassandra more than all the rest of the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from cassandra import InvalidRequest, Unauthorized
from cassandra.cluster import Session
from cassandra.metadata import KeyspaceMetadata, TableMetadata

from oda.core.kinds import OF_SERIES, Field, Kind, Meaning
from oda.errors import Refused
from oda.settings import Cassandra
from oda.stores.place import SLOT_MS

_WAY_OUT = "start anew beside it: docs/upgrades.md"

SNAPSHOT_TABLES = {
    "windows": ("snapshots", "snapshot_chunks"),
    "judgement": ("judgement_snapshots", "judgement_snapshot_chunks"),
    "groups": ("groups_snapshots", "groups_snapshot_chunks"),
}
"""By machine: of heads, and of chunks. The partitions of groups are those of the log of members."""

TYPES = {
    Meaning.NAME: "text",
    Meaning.TIME: "timestamp",
    Meaning.OFFSET: "bigint",
    Meaning.COUNT: "bigint",
    Meaning.VALUE: "double",
    Meaning.TEXT: "text",
}
"""In CQL."""

_TIME_WINDOWED = """
    AND compaction = {{'class': 'TimeWindowCompactionStrategy',
                       'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}}
    AND default_time_to_live = {ttl} AND gc_grace_seconds = 86400"""


class Table(NamedTuple):
    """A table as it should be: types by column, the columns of the key, and options in CQL.

    `comment` says what can't be changed once there are rows; a table with another one is refused.
    """

    name: str
    columns: dict[str, str]
    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    comment: str = ""
    options: str = ""

    def statement(self, keyspace: str) -> str:
        """The CQL that makes it where it does not exist."""
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in self.columns.items())
        key = ", ".join([f"({_quoted(self.partition)})", *filter(None, [_quoted(self.clustering)])])
        return (
            f"CREATE TABLE IF NOT EXISTS {keyspace}.{self.name} ({columns}, PRIMARY KEY ({key}))\n"
            f"WITH comment = '{self.comment}'{self.options}"
        )


def key_of(kind: Kind[Any]) -> tuple[str, ...]:
    """Of a kind's rows in their partition: what identifies one, in the order in which they stand."""
    return "series", kind.time, "partition", *kind.identity


def fields_of(kind: Kind[Any]) -> tuple[Field, ...]:
    """The fields that are not in the key: of the user type."""
    return tuple(field for field in kind.fields if field.name not in key_of(kind))


def type_of(kind: Kind[Any]) -> str:
    """The name of the user type."""
    return f"{kind.name}_fields"


def tables(settings: Cassandra) -> list[Table]:
    """All of the keyspace."""
    expiring = _TIME_WINDOWED.format(ttl=ttl_seconds(settings))
    bucket = f"bucket = crc32(series) mod {settings.buckets}"
    # `topics` says which log the rows are of (see `oda.stores.origin`). The head of a snapshot names the parts that it
    # has, whose chunks are written before it (see `oda.stores.snapshots`).
    partition = {"group": "text", "topic": "text", "partition": "int"}
    version = {**partition, "version": "bigint", "owner": "uuid"}
    place = {"bucket": "int", "slot": "int", "series": "text"}
    return [
        *(
            Table(
                kind.name,
                {
                    **place,
                    kind.time: "timestamp",
                    "partition": "int",
                    **{name: TYPES[kind.meanings[name]] for name in kind.identity},
                    "fields": f"frozen<{settings.keyspace}.{type_of(kind)}>",
                },
                ("bucket", "slot"),
                key_of(kind),
                f"{bucket}, slot = {kind.time} div {SLOT_MS} ms",
                expiring,
            )
            for kind in OF_SERIES
        ),
        # A row has a series' readings of some batches that chain, packed in log order (see `oda.stores.archive`).
        # Which batches is a matter of chance. `last_offset` is in the key, so that the row of a batch that is
        # replayed alone does not replace one that holds more.
        Table(
            "readings",
            {**place, "partition": "int", "first_offset": "bigint", "last_offset": "bigint", "data": "blob"},
            ("bucket", "slot"),
            ("series", "partition", "first_offset", "last_offset"),
            f"{bucket}, slot = time of the readings div {SLOT_MS} ms",
            expiring,
        ),
        Table("topics", {"topic": "text", "id": "uuid"}, ("topic",), ()),
        *(
            table
            for heads, chunks in SNAPSHOT_TABLES.values()
            for table in (
                Table(
                    heads,
                    {**version, "parts": "frozen<list<frozen<tuple<bigint, uuid, int>>>>"},
                    tuple(partition),
                    (),
                ),
                Table(
                    chunks,
                    {**version, "chunk": "int", "data": "blob"},
                    tuple(version),
                    ("chunk",),
                    options=" AND gc_grace_seconds = 3600",
                ),
            )
        ),
    ]


def ttl_seconds(settings: Cassandra) -> int:
    """How long a row of results and readings lives."""
    return settings.ttl_days * 86_400


def statements(settings: Cassandra, found: KeyspaceMetadata | None = None) -> Iterator[str]:
    """The CQL that makes what `found` lacks: the keyspace, types and tables."""
    if found is None:
        yield (
            f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = "
            f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {settings.replication}}}"
        )
    for kind in OF_SERIES:
        if found is None or type_of(kind) not in found.user_types:
            fields = ", ".join(f'"{field.name}" {TYPES[field.meaning]}' for field in fields_of(kind))
            yield f"CREATE TYPE IF NOT EXISTS {settings.keyspace}.{type_of(kind)} ({fields})"
    for table in tables(settings):
        if found is None or table.name not in found.tables:
            yield table.statement(settings.keyspace)


def migrate(session: Session, settings: Cassandra) -> list[str]:
    """Make what is missing of the keyspace, add fields that are new, and set how long rows live from now on.

    Returns:
        What of the settings it does not follow, for the log.

    Raises:
        Refused: what is there can't be altered so, or this account may not.
    """
    check(session, settings)
    # Changes of the schema that meet on two nodes can clash: only the first start ever makes one.
    for statement in statements(settings, session.cluster.metadata.keyspaces.get(settings.keyspace)):
        _alter(session, statement)
    # Of what another process has just made the driver may not have heard yet.
    session.cluster.refresh_schema_metadata()
    found = session.cluster.metadata.keyspaces[settings.keyspace]
    for statement in _additions(found, settings):
        _alter(session, statement)
    for table in _other_ttl(found, settings):
        with suppress(Unauthorized):  # then it is one of the notes
            session.execute(
                f"ALTER TABLE {settings.keyspace}.{table} WITH default_time_to_live = {ttl_seconds(settings)}"
            )
    return _ignored(session.cluster.metadata.keyspaces[settings.keyspace], settings)


def check(session: Session, settings: Cassandra) -> None:
    """See that what there is of the keyspace is, as far as it goes, what it should be; changes nothing.

    Raises:
        Refused: it can't become so.
    """
    found = session.cluster.metadata.keyspaces.get(settings.keyspace)
    if found is None:
        return
    for table in tables(settings):
        if there := found.tables.get(table.name):
            _check_table(there, table, settings)
    for kind in OF_SERIES:
        types = _fields(found, kind)
        for field in fields_of(kind):
            if types.get(field.name, TYPES[field.meaning]) != TYPES[field.meaning]:
                raise Refused(
                    f"keyspace {settings.keyspace}: in type {type_of(kind)}, {field.name} is {types[field.name]}, "
                    f"not {TYPES[field.meaning]}, which can't be altered; {_WAY_OUT}"
                )


def _check_table(found: TableMetadata, table: Table, settings: Cassandra) -> None:
    key = [column.name for column in (*found.partition_key, *found.clustering_key)]
    if key != [*table.partition, *table.clustering]:
        raise Refused(
            f"keyspace {settings.keyspace} is of a former version: its table {table.name} has the key "
            f"({', '.join(key)}), which can't be altered; {_WAY_OUT}"
        )
    for name, column in found.columns.items():
        wanted = table.columns.get(name, column.cql_type)
        if column.cql_type != wanted and "frozen" not in wanted:  # whose fields are looked at one by one
            raise Refused(
                f"keyspace {settings.keyspace}: in table {table.name}, {name} is {column.cql_type}, not {wanted}, "
                f"which can't be altered; {_WAY_OUT}"
            )
    comment = found.options["comment"]
    if comment != table.comment:
        raise Refused(
            f"keyspace {settings.keyspace} was made for other settings, which it keeps: of its table {table.name} "
            f"`{comment}`, and oda.cassandra.buckets = {settings.buckets} makes it `{table.comment}`. "
            f"Set oda.cassandra.buckets to what it was, or {_WAY_OUT}"
        )


def _additions(found: KeyspaceMetadata, settings: Cassandra) -> Iterator[str]:
    """The CQL that adds what a former version did not have."""
    for kind in OF_SERIES:
        for field in fields_of(kind):
            if field.name not in _fields(found, kind):
                type_ = f"{settings.keyspace}.{type_of(kind)}"
                yield f'ALTER TYPE {type_} ADD IF NOT EXISTS "{field.name}" {TYPES[field.meaning]}'
    for table in tables(settings):
        for name, type_ in table.columns.items():
            if name not in found.tables[table.name].columns:
                yield f'ALTER TABLE {settings.keyspace}.{table.name} ADD IF NOT EXISTS "{name}" {type_}'


def _alter(session: Session, statement: str) -> None:
    try:
        session.execute(statement)
    except Unauthorized:
        raise Refused(
            f"this account of Cassandra may not alter the keyspace; let one that may do: {statement}"
        ) from None
    except InvalidRequest as error:
        raise Refused(f"{error}; it was to do: {statement}") from None


def _fields(found: KeyspaceMetadata, kind: Kind[Any]) -> dict[str, str]:
    """Types by field, as the keyspace has them."""
    there = found.user_types.get(type_of(kind))
    return dict(zip(there.field_names, there.field_types, strict=True)) if there else {}


def _ignored(found: KeyspaceMetadata, settings: Cassandra) -> list[str]:
    notes = [
        f"oda.cassandra.ttl_days is {settings.ttl_days}, and rows of {settings.keyspace}.{table} live for {ttl} s: "
        f"this account may not alter it. Let another one set its default_time_to_live to {ttl_seconds(settings)}."
        for table, ttl in _other_ttl(found, settings).items()
    ]
    strategy = found.replication_strategy
    factors = getattr(strategy, "dc_replication_factors", None) or {"": getattr(strategy, "replication_factor", None)}
    if set(factors.values()) != {settings.replication}:
        notes.append(
            f"oda.cassandra.replication is {settings.replication}, and keyspace {settings.keyspace} was made with "
            f"{strategy.export_for_schema()}, which it keeps: to change that takes ALTER KEYSPACE, and then "
            "`nodetool repair --full` on each node, or rows are missing."
        )
    return notes


def _other_ttl(found: KeyspaceMetadata, settings: Cassandra) -> dict[str, int]:
    """The tables that give rows another life than the settings say, and which, in seconds."""
    lives = {
        table: int(found.tables[table].options["default_time_to_live"])
        for table in ("readings", *(kind.name for kind in OF_SERIES))
    }
    return {table: ttl for table, ttl in lives.items() if ttl != ttl_seconds(settings)}


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
