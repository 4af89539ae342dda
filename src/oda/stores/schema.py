"""The stores' schemas: Cassandra tables, Elasticsearch templates, Kafka topics."""

from __future__ import annotations

from typing import Any

from oda.settings import Cassandra, Elasticsearch

TABLES = frozenset({"readings", "windows", "anomalies", "snapshots", "snapshot_chunks", "topics"})
"""The tables of the keyspace."""

_TIME_WINDOWED = """
    compaction = {{'class': 'TimeWindowCompactionStrategy',
                   'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}}
    AND default_time_to_live = {ttl}
    AND gc_grace_seconds = 86400"""

_KEYSPACE = """
CREATE KEYSPACE IF NOT EXISTS {keyspace}
WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication}}}"""

# One row per series and day of some batches that chain: readings packed in log order (see `oda.stores.archive`).
# Which batches are in a row is a matter of chance. `last_offset` is in the key, so that the row of a batch that is
# replayed alone does not replace one that holds more.
_READINGS = (
    """
CREATE TABLE IF NOT EXISTS {keyspace}.readings (
    series text, day date, partition int, first_offset bigint, last_offset bigint, data blob,
    PRIMARY KEY ((series, day), partition, first_offset, last_offset)
) WITH"""
    + _TIME_WINDOWED
)

# The Kafka partition is in the key: were a series ever to be in two, each keeps its own windows.
_WINDOWS = (
    """
CREATE TABLE IF NOT EXISTS {keyspace}.windows (
    series text, day date, start timestamp, partition int,
    "end" timestamp, count bigint, mean double, stddev double,
    first_offset bigint, last_offset bigint, closed_at bigint, closed_by text, late bigint,
    PRIMARY KEY ((series, day), start, partition)
) WITH CLUSTERING ORDER BY (start DESC, partition ASC) AND"""
    + _TIME_WINDOWED
)

_ANOMALIES = (
    """
CREATE TABLE IF NOT EXISTS {keyspace}.anomalies (
    series text, day date, time timestamp, partition int, offset bigint,
    value double, mean double, stddev double, count bigint, window_start timestamp,
    PRIMARY KEY ((series, day), time, partition, offset)
) WITH CLUSTERING ORDER BY (time DESC, partition ASC, offset ASC) AND"""
    + _TIME_WINDOWED
)

# The head names the newest complete version; its chunks are written before it (see `oda.stores.snapshots`).
_SNAPSHOTS = """
CREATE TABLE IF NOT EXISTS {keyspace}.snapshots (
    "group" text, topic text, partition int, version bigint, owner uuid, chunks int,
    PRIMARY KEY (("group", topic, partition))
)"""

_SNAPSHOT_CHUNKS = """
CREATE TABLE IF NOT EXISTS {keyspace}.snapshot_chunks (
    "group" text, topic text, partition int, version bigint, owner uuid, chunk int, data blob,
    PRIMARY KEY (("group", topic, partition, version, owner), chunk)
) WITH gc_grace_seconds = 3600"""


# Which log the rows are of (see `oda.stores.origin`).
_TOPICS = """
CREATE TABLE IF NOT EXISTS {keyspace}.topics (topic text PRIMARY KEY, id uuid)"""

EXPIRING = ("readings", "windows", "anomalies")
"""The tables whose rows live for `ttl_days`."""


def ttl_seconds(settings: Cassandra) -> int:
    """How long a row of these tables lives."""
    return settings.ttl_days * 86_400


def cassandra_statements(settings: Cassandra) -> list[str]:
    """The CQL that makes the keyspace and its tables where they don't exist."""
    names = {
        "keyspace": settings.keyspace,
        "replication": settings.replication,
        "ttl": ttl_seconds(settings),
    }
    tables = [_KEYSPACE, _READINGS, _WINDOWS, _ANOMALIES, _SNAPSHOTS, _SNAPSHOT_CHUNKS, _TOPICS]
    return [table.format(**names) for table in tables]


_LONG = {"type": "long"}
_DOUBLE = {"type": "double"}
_KEYWORD = {"type": "keyword"}
_DATE = {"type": "date", "format": "epoch_millis"}

_ORIGIN = {"topic": _KEYWORD, "partition": {"type": "integer"}}

_FIELDS: dict[str, dict[str, Any]] = {
    "windows": {
        **_ORIGIN,
        "series": _KEYWORD,
        "start": _DATE,
        "end": _DATE,
        "count": _LONG,
        "mean": _DOUBLE,
        "stddev": _DOUBLE,
        "first_offset": _LONG,
        "last_offset": _LONG,
        "closed_at": _LONG,
        "closed_by": _KEYWORD,
        "late": _LONG,
    },
    "anomalies": {
        **_ORIGIN,
        "series": _KEYWORD,
        "time": _DATE,
        "offset": _LONG,
        "value": _DOUBLE,
        "mean": _DOUBLE,
        "stddev": _DOUBLE,
        "count": _LONG,
        "window_start": _DATE,
    },
}


TEMPLATE_PRIORITY = 10_632
"""Above Elastic's own (100, 200) and a catch-all of somebody else. Of two templates of one priority that match the
same index, Elasticsearch refuses the second: so no round number."""


def elasticsearch_templates(settings: Elasticsearch) -> dict[str, dict[str, Any]]:
    """Index templates by name: explicit mappings that refuse an unknown field."""
    return {
        f"{settings.prefix}-{kind}": {
            "index_patterns": [f"{settings.prefix}-{kind}-*"],
            "priority": TEMPLATE_PRIORITY,
            "template": {
                "settings": {"number_of_shards": settings.shards, "number_of_replicas": settings.replicas},
                "mappings": {"dynamic": "strict", "properties": fields},
            },
        }
        for kind, fields in _FIELDS.items()
    }
