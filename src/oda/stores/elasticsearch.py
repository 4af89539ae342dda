"""Elasticsearch, the insights: windows, anomalies and incidents as documents, one index a month, of old ones a decade.

A document's id is its place in the log and its version the spout's clock (`external_gte`), so
writing twice, or an old one after a new, changes nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import elastic_transport
import msgspec
from elastic_transport import HttpHeaders, NodeConfig, Urllib3HttpNode
from elastic_transport.client_utils import DEFAULT
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch, JsonSerializer
from elasticsearch.helpers import ScanError, scan, streaming_bulk

from oda import settings
from oda.core.kinds import FINDINGS, Document, Kind
from oda.errors import Refused, UserError
from oda.security import account, addresses, context, password, tls_problem
from oda.sockets import OPTIONS
from oda.stores.contract import Found, Item, Part, Rows
from oda.stores.indices import address, first, mapping, templates

_STALE = 409  # a newer version is there
_BUSY = (408, 429)
"""Answers of 4xx that pass by themselves."""

_PAGE = 5_000

_MOST_SPANS = 500
"""Of times, in one question."""

_ANSWER = "errors,items.index.status,items.index.error"
"""What is looked at of the answer to a bulk request."""


class WriteError(Exception):
    """Elasticsearch could not write documents; the text is its first reason."""


class _Json(JsonSerializer):
    """The client's own JSON is a third of a bulk request's cost."""

    def json_dumps(self, data: Any) -> bytes:
        """Called by the client for each document."""
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        """Called by the client for each answer."""
        return msgspec.json.decode(data)


def connect(config: settings.Elasticsearch) -> Elasticsearch:
    """A client; it connects when it is asked something, and changes nothing.

    Raises:
        UserError: a file of `oda.elasticsearch.security` can't be used.
    """
    timeout = config.timeout_ms / 1000
    options: dict[str, Any] = {"request_timeout": timeout, "serializer": _Json(), "node_class": _Node}
    if config.security.ca:
        options["ssl_context"] = context(config.security)
    if config.security.user:
        password(config.security)  # what is wrong is said now
        options["node_class"] = _as_user(config.security)
    return Elasticsearch(config.urls.split(","), **options)


class _Node(Urllib3HttpNode):
    """A node whose connections notice when its machine is gone."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool.conn_kw["socket_options"] = OPTIONS


def _as_user(security: settings.ElasticsearchSecurity) -> type[_Node]:
    """Requests with the password as it is at each of them."""

    class Node(_Node):
        def perform_request(
            self,
            method: str,
            target: str,
            body: bytes | None = None,
            headers: HttpHeaders | None = None,
            request_timeout: Any = DEFAULT,
        ) -> Any:
            both = base64.b64encode(f"{security.user}:{password(security)}".encode()).decode()
            own = HttpHeaders({**(headers or {}), "authorization": f"Basic {both}"})
            return super().perform_request(method, target, body, own, request_timeout)

    return Node


def explain(config: settings.Elasticsearch, error: Exception) -> str:
    """What a request failed of, in one line that names the setting."""
    where, security = f"Elasticsearch at oda.elasticsearch.urls = {config.urls}", config.security
    if isinstance(error, elastic_transport.ConnectionError):
        return f"{where}: {tls_problem(addresses(config.urls), security) or 'no answer'}"
    if isinstance(error, AuthenticationException):
        if security.user is None:
            return f"{where}: it asks for an account: set {security.setting}.user"
        return f"{where}: it does not accept {account(security)}"
    if isinstance(error, AuthorizationException):
        return f"{where}: {_who(config)} lacks a right, which `oda admin` gives: {error}"
    return f"{where}: {error}"


class ElasticsearchStore:
    """The indices of one prefix, which may have rows of several topics; this is one topic's view of them."""

    def __init__(self, config: settings.Settings) -> None:
        self.notes: Sequence[str] = ()
        self._config = config.elasticsearch
        self._topic = config.kafka.readings
        self._client = connect(self._config)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    # -- schema ---------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Put the templates, and add what existing indices lack. Raises Refused when that can't be."""
        with self._explained(), self._refusals():
            left = []
            try:
                self._alter()
            except AuthorizationException:
                self._check_made()
                left.append(f"{_who(self._config)} may not alter templates: after an upgrade `oda admin` has to")
            self.notes = [*left, *self._ignored()]

    def make(self) -> None:
        """`migrate`, and what shows an account that may not see templates that they are there."""
        self.migrate()
        with self._explained(), self._refusals():
            for name in first(self._config):
                if not self._client.indices.exists(index=name):
                    self._client.indices.create(index=name)

    def _alter(self) -> None:
        indices = self._client.indices
        for name, template in templates(self._config).items():
            indices.put_index_template(name=name, **template)
        for kind in FINDINGS:
            self._extend(kind)
        refresh = {"index.refresh_interval": f"{self._config.refresh_ms}ms"}
        indices.put_settings(index=self._patterns, settings=refresh, allow_no_indices=True)

    def _check_made(self) -> None:
        """Without the templates an index would be made that takes any field, as whatever its first value looks like."""
        for name in first(self._config):
            if not self._client.indices.exists(index=name):
                raise Refused(f"Elasticsearch: {_who(self._config)} may not put templates; run `oda admin` once")

    def _extend(self, kind: Kind[Any]) -> None:
        """Add fields that indices of a former version lack."""
        wanted = mapping(kind)
        for index, found in self._client.indices.get_mapping(index=self._pattern(kind)).items():
            there = found["mappings"].get("properties", {})
            for name in there.keys() & wanted.keys():
                if there[name]["type"] != wanted[name]["type"]:
                    raise Refused(
                        f"index {index}: field {name} is of type {there[name]['type']}, not {wanted[name]['type']}, "
                        "which can't be altered; start anew beside it: docs/upgrades.md"
                    )
            if missing := {name: field for name, field in wanted.items() if name not in there}:
                self._client.indices.put_mapping(index=index, properties=missing)

    def _ignored(self) -> list[str]:
        """What of the settings the indices that exist do not follow, for the log."""
        notes = []
        for key, wanted in (("shards", self._config.shards), ("replicas", self._config.replicas)):
            name = f"index.number_of_{key}"
            found = self._client.indices.get_settings(index=self._patterns, name=name, flat_settings=True)
            others = sorted(index for index, answer in found.items() if int(answer["settings"][name]) != wanted)
            if others:
                notes.append(
                    f"oda.elasticsearch.{key} is {wanted}, and {len(others)} indices were made with another number, "
                    f"such as {others[0]}: it counts for indices made from now on. "
                    + (
                        f'Of the others PUT /INDEX/_settings {{"{name}": {wanted}}} changes it.'
                        if key == "replicas"
                        else ""
                    )
                )
        return notes

    def drop(self) -> None:
        """Delete indices and templates."""
        with self._explained():
            for index in self._client.indices.get(index=self._patterns):
                self._client.indices.delete(index=index)
            for template in templates(self._config):
                self._client.options(ignore_status=404).indices.delete_index_template(name=template)

    # -- writing --------------------------------------------------------------------------------

    def write(self, items: Sequence[Item]) -> None:
        """Write rows; returns when Elasticsearch has acknowledged all of it.

        Raises:
            Refused: a mapping forbids a field, an index is read-only, ...
            WriteError, elastic_transport.TransportError, elasticsearch.ApiError: try again.
        """
        actions = (action for item in items if isinstance(item, Rows) for action in self.actions(item))
        with self._refusals():
            for done, answer in streaming_bulk(self._client, actions, raise_on_error=False, filter_path=_ANSWER):
                if not done and (status := answer["index"]["status"]) != _STALE:
                    problem = f"{status}: {answer['index'].get('error')}"
                    raise Refused(f"Elasticsearch: {problem}") if _is_refusal(status) else WriteError(problem)

    def actions(self, item: Rows) -> Iterator[dict[str, Any]]:
        """What is sent for each row."""
        for row in item.rows:
            document = item.kind.document(self._topic, item.partition, row)
            yield {
                "_op_type": "index",
                **address(self._config.prefix, item.kind, document),
                "version": item.clock,
                "version_type": "external_gte",
                "_source": document,
            }

    # -- reading --------------------------------------------------------------------------------

    def rows(self, kind: Kind[Any], part: Part | None = None) -> Found:
        """All documents of one topic, or those of some times; none if there is no index."""
        terms: list[dict[str, Any]] = [{"term": {"topic": self._topic}}]
        if part is not None and len(spans := part.spans()) <= _MOST_SPANS:
            ranges = [{"range": {kind.time: {"gte": since, "lt": until}}} for since, until in spans]
            terms.append({"bool": {"should": ranges, "minimum_should_match": 1}})
        with self._explained():
            self._client.indices.refresh(index=self._pattern(kind))
            query = {"query": {"bool": {"filter": terms}}}
            for hit in scan(self._client, index=self._pattern(kind), query=query, size=_PAGE):
                row = hit["_source"]
                where = {"_index": hit["_index"], "_id": hit["_id"]}
                is_there = where == address(self._config.prefix, kind, row)
                yield hit["_id"] if is_there else f"{hit['_index']}/{hit['_id']}", row

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterator[Document]:
        """One series' rows with `since <= time < until` (epoch ms), by time, as of the last refresh."""
        terms: list[dict[str, Any]] = [{"term": {"topic": self._topic}}, {"term": {"series": series}}]
        query = {
            "query": {"bool": {"filter": [*terms, {"range": {kind.time: {"gte": since, "lt": until}}}]}},
            "sort": [kind.time, *kind.identity],
        }
        with self._explained():
            hits = scan(self._client, index=self._pattern(kind), query=query, size=_PAGE, preserve_order=True)
            yield from (hit["_source"] for hit in hits)

    @property
    def _patterns(self) -> list[str]:
        return [self._pattern(kind) for kind in FINDINGS]

    def _pattern(self, kind: Kind[Any]) -> str:
        return f"{self._config.prefix}-{kind.name}-*"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors that a person can mend."""
        try:
            yield
        except (elastic_transport.TransportError, ApiError, ScanError) as error:
            raise UserError(explain(self._config, error)) from None

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What Elasticsearch answers to what it will never do."""
        try:
            yield
        except ApiError as error:
            if _is_refusal(error.meta.status):
                raise Refused(explain(self._config, error)) from None
            raise


def _who(config: settings.Elasticsearch) -> str:
    return f"{config.security.setting}.user = {config.security.user}"


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 and status not in _BUSY
