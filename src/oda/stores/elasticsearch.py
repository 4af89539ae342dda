"""Elasticsearch, the insights: windows and anomalies as documents, one index a month, of old ones a decade.

A document's id is its place in the log and its version the spout's clock (`external_gte`), so
writing twice, or an old one after a new, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from elasticsearch import Elasticsearch, JsonSerializer
from elasticsearch.helpers import streaming_bulk

from oda import settings
from oda.core.rows import Anomaly, ClosedWindow
from oda.stores.schema import elasticsearch_templates

FIRST_MONTHLY = 2020
"""The first year that has an index for each month; those before it share one for their decade."""

_STALE = 409  # a newer version is there

_DAY_MS = 86_400_000

_ANSWER = "errors,items.index.status,items.index.error"
"""What is looked at of the answer to a bulk request."""


class BulkError(Exception):
    """Elasticsearch refused documents; the text is its first reason."""


def connect(config: settings.Elasticsearch) -> Elasticsearch:
    """Open a client; puts the index templates.

    Raises:
        elastic_transport.TransportError: no node answers.
        elasticsearch.ApiError: it refuses a template.
    """
    client = Elasticsearch(config.urls.split(","), request_timeout=config.timeout_ms / 1000, serializer=_Json())
    for name, template in elasticsearch_templates(config).items():
        client.indices.put_index_template(name=name, **template)
    return client


def ignored(client: Elasticsearch, config: settings.Elasticsearch) -> list[str]:
    """What of the settings the indices that exist do not follow, for the log."""
    notes = []
    patterns = [f"{config.prefix}-{kind}-*" for kind in ("windows", "anomalies")]
    for key, wanted in (("shards", config.shards), ("replicas", config.replicas)):
        name = f"index.number_of_{key}"
        found = client.indices.get_settings(index=patterns, name=name, flat_settings=True)
        others = sorted(index for index, answer in found.items() if int(answer["settings"][name]) != wanted)
        if others:
            notes.append(
                f"oda.elasticsearch.{key} is {wanted}, and {len(others)} indices were made with another number, such "
                f"as {others[0]}: it counts for indices made from now on. Of the others "
                + ("it can't be changed." if key == "shards" else f'PUT /INDEX/_settings {{"{name}": {wanted}}} does.')
            )
    return notes


class _Json(JsonSerializer):
    """The client's own JSON is a third of a bulk request's cost."""

    def json_dumps(self, data: Any) -> bytes:
        """Called by the client for each document."""
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        """Called by the client for each answer."""
        return msgspec.json.decode(data)


class ElasticsearchWriter:
    """Writes results, many documents at a time. A failed call may be repeated whole.

    Attributes:
        notes: what of the settings older indices do not follow, for the log.
    """

    def __init__(self, config: settings.Elasticsearch, topic: str) -> None:
        self._client = connect(config)
        self.notes = ignored(self._client, config)
        self._prefix = config.prefix
        self._topic = topic
        self._pending: list[dict[str, Any]] = []

    def windows(self, partition: int, clock: int, rows: Iterable[ClosedWindow]) -> None:
        """Add closed windows to the next flush; `clock` in epoch ms."""
        for row in rows:
            self._add("windows", row.start, partition, row.first_offset, clock, row)

    def anomalies(self, partition: int, clock: int, rows: Iterable[Anomaly]) -> None:
        """Add anomalies to the next flush."""
        for row in rows:
            self._add("anomalies", row.time, partition, row.offset, clock, row)

    def flush(self) -> None:
        """Write what was added; returns when Elasticsearch has acknowledged all of it.

        Raises:
            BulkError: it refused some documents.
        """
        pending, self._pending = self._pending, []
        for done, answer in streaming_bulk(self._client, pending, raise_on_error=False, filter_path=_ANSWER):
            if not done and answer["index"]["status"] != _STALE:
                raise BulkError(f"{answer['index']['status']}: {answer['index'].get('error')}")

    def _add(self, kind: str, time: int, partition: int, offset: int, clock: int, row: ClosedWindow | Anomaly) -> None:
        self._pending.append(
            {
                "_op_type": "index",
                **address(self._prefix, kind, time, self._topic, partition, offset),
                "version": clock,
                "version_type": "external_gte",
                "_source": {"topic": self._topic, "partition": partition, **msgspec.structs.asdict(row)},
            }
        )


def address(prefix: str, kind: str, time: int, topic: str, partition: int, offset: int) -> dict[str, str]:
    """Where a row is: `time` in epoch ms, and its place in the log."""
    return {"_index": f"{prefix}-{kind}-{_period(time // _DAY_MS)}", "_id": f"{topic}:{partition}:{offset}"}


@lru_cache(1_000)
def _period(day: int) -> str:
    """Of which month an index is; of which decade for what was recorded long ago.

    A node takes 1,000 shards. Times from 1970 on, by month, would fill it, and no row at all could be written.
    """
    date = datetime.fromtimestamp(day * _DAY_MS // 1000, UTC)
    return f"{date:%Y.%m}" if date.year >= FIRST_MONTHLY else f"{date.year // 10}0s"
