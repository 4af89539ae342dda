"""The indices in Elasticsearch: what they hold of each kind, and which row is in which. Pure.

Names and times are what is searched by. Numbers are only aggregated, so they have columns (doc values) and no index.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from oda.core.kinds import FINDINGS, Document, Kind, Meaning
from oda.settings import Elasticsearch

FIRST_MONTHLY = 2020
"""The first year that has an index for each month; those before it share one for their decade."""

TEMPLATE_PRIORITY = 10_632
"""Above Elastic's own (100, 200) and a catch-all of somebody else. Of two templates of one priority that match the
same index, Elasticsearch refuses the second: so no round number."""

_DAY_MS = 86_400_000

_TYPES: dict[Meaning, dict[str, Any]] = {
    Meaning.NAME: {"type": "keyword"},
    Meaning.TIME: {"type": "date", "format": "epoch_millis"},
    Meaning.OFFSET: {"type": "long"},
    Meaning.COUNT: {"type": "long"},
    Meaning.VALUE: {"type": "double"},
    Meaning.TEXT: {"type": "keyword", "doc_values": False},  # as a column its length would be limited
}


def mapping(kind: Kind[Any]) -> dict[str, Any]:
    """The fields of a kind's documents."""
    origin = {"topic": {"type": "keyword"}, "partition": {"type": "integer"}}
    searched = {field.name for field in kind.fields if field.meaning is Meaning.NAME} | {kind.time}
    return origin | {
        field.name: _TYPES[field.meaning] | ({} if field.name in searched else {"index": False})
        for field in kind.fields
    }


def templates(config: Elasticsearch) -> dict[str, dict[str, Any]]:
    """Index templates by name: explicit mappings that refuse an unknown field."""
    return {
        f"{config.prefix}-{kind.name}": {
            "index_patterns": [f"{config.prefix}-{kind.name}-*"],
            "priority": TEMPLATE_PRIORITY,
            "template": {
                "settings": {
                    "number_of_shards": config.shards,
                    "number_of_replicas": config.replicas,
                    "refresh_interval": f"{config.refresh_ms}ms",
                },
                "mappings": {"dynamic": "strict", "properties": mapping(kind)},
            },
        }
        for kind in FINDINGS
    }


def first(config: Elasticsearch) -> list[str]:
    """Of each kind an index that is there before there are rows: by it an account that may not see templates knows
    that they are."""
    return [f"{config.prefix}-{kind.name}-0" for kind in FINDINGS]


def address(prefix: str, kind: Kind[Any], row: Document) -> dict[str, str]:
    """Where a row is."""
    return {"_index": f"{prefix}-{kind.name}-{_period(row[kind.time] // _DAY_MS)}", "_id": kind.place(row)}


@lru_cache(1_000)
def _period(day: int) -> str:
    """Of which month an index is; of which decade for what was recorded long ago.

    A node takes 1,000 shards. Times from 1970 on, by month, would fill it, and no row at all could be written.
    """
    date = datetime.fromtimestamp(day * _DAY_MS // 1000, UTC)
    return f"{date:%Y.%m}" if date.year >= FIRST_MONTHLY else f"{date.year // 10}0s"
