"""Insights over all series, from Elasticsearch: where and when anomalies are, how bad, and under which labels."""

from __future__ import annotations

from typing import Any

import elastic_transport
from elasticsearch import ApiError

from oda.core.kinds import ANOMALIES
from oda.core.rules.match import Rules
from oda.errors import UserError
from oda.settings import Settings
from oda.stores.elasticsearch import connect, explain

MOST_RANKED = 50
"""Series of the heat map."""

_MOST_SERIES = 10_000
"""That are counted by label."""

_STEPS = 120
"""Of the heat map's time, at most."""

_SCORE_STEP = 10


class Insights:
    """Asks Elasticsearch. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = connect(settings.elasticsearch)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def anomalies(self, since: int, until: int, label: str, rules: Rules) -> dict[str, Any]:
        """Those with `since <= time < until` (epoch ms); see docs/page.md for the names.

        Args:
            since, until: the span.
            label: `name=value`: only series to whose rule it belongs; empty for all.
            rules: which say the labels of each series.

        Raises:
            UserError: Elasticsearch can't be reached.
        """
        step = max(1, -(-(until - since) // _STEPS))
        names = None
        if label:
            counts = _counts(self._ask(self._body(since, until, None, {"all": _all_series()})))
            names = [name for name in counts if label in _labels(name, rules)]
        body = self._body(since, until, names, _aggregations(step))
        found = self._ask(body)
        times = list(range(since // step * step, until, step))
        ranked = found.get("series", {}).get("buckets", [])
        by_label: dict[str, int] = {}
        for name, count in _counts(found).items():
            for one in _labels(name, rules):
                by_label[one] = by_label.get(one, 0) + count
        return {
            "heat": {
                "series": [row["key"] for row in ranked],
                "times": times,
                "step": step,
                "counts": [_row(row["times"]["buckets"], times) for row in ranked],
            },
            "ranked": [
                {"series": row["key"], "anomalies": row["doc_count"], "worst": row["worst"]["value"]} for row in ranked
            ],
            "scores": [
                {"from": row["key"], "to": row["key"] + _SCORE_STEP, "count": row["doc_count"]}
                for row in found.get("scores", {}).get("buckets", [])
            ],
            "by_label": [
                {"label": name, "anomalies": count}
                for name, count in sorted(by_label.items(), key=lambda item: (-item[1], item[0]))
            ],
            "request": {"method": "POST", "url": f"{self._url}/{self._index}/_search", "body": body},
        }

    @property
    def _url(self) -> str:
        return self._settings.elasticsearch.urls.split(",")[0].rstrip("/")

    @property
    def _index(self) -> str:
        return f"{self._settings.elasticsearch.prefix}-{ANOMALIES.name}-*"

    def _body(self, since: int, until: int, names: list[str] | None, aggregations: dict[str, Any]) -> dict[str, Any]:
        filters: list[dict[str, Any]] = [
            {"term": {"topic": self._settings.kafka.readings}},
            {"range": {"time": {"gte": since, "lt": until}}},
        ]
        if names is not None:
            filters.append({"terms": {"series": names}})
        return {"size": 0, "query": {"bool": {"filter": filters}}, "aggs": aggregations}

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.search(index=self._index, body=body, ignore_unavailable=True, allow_no_indices=True)
        except (elastic_transport.TransportError, ApiError) as error:
            raise UserError(explain(self._settings.elasticsearch, error)) from None
        found: dict[str, Any] = answer.get("aggregations", {})  # of no index there are none
        return found


def _all_series() -> dict[str, Any]:
    return {"terms": {"field": "series", "size": _MOST_SERIES}}


def _aggregations(step: int) -> dict[str, Any]:
    return {
        "all": _all_series(),
        "series": {
            "terms": {"field": "series", "size": MOST_RANKED},
            "aggs": {
                "worst": {"max": {"field": "score"}},
                "times": {"date_histogram": {"field": "time", "fixed_interval": f"{step}ms", "min_doc_count": 1}},
            },
        },
        "scores": {
            "histogram": {
                "field": "score",
                "interval": _SCORE_STEP,
                "min_doc_count": 0,
                "extended_bounds": {"min": 0, "max": 100},
            }
        },
    }


def _counts(found: dict[str, Any]) -> dict[str, int]:
    """Anomalies by series."""
    return {row["key"]: row["doc_count"] for row in found.get("all", {}).get("buckets", [])}


def _labels(series: str, rules: Rules) -> list[str]:
    return [f"{name}={value}" for name, value in rules.of(series).labels]


def _row(buckets: list[dict[str, Any]], times: list[int]) -> list[int]:
    """Counts at each of the times."""
    found = {row["key"]: row["doc_count"] for row in buckets}
    return [found.get(time, 0) for time in times]
