"""One series' past, from Cassandra, as a chart shows it: readings, what was allowed to them, what was found.

Reads part by part, in bounded memory: of a long span means, least and largest; of a very long one no windows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from kafka.partitioner import murmur2

from oda.core.kinds import ANOMALIES, BANDS, INCIDENTS, WINDOWS, Anomaly, Bounds, ClosedWindow, Kind, Located
from oda.core.rules.rule import Rule
from oda.query.bands import scored, stretches
from oda.query.incidents import Incidents
from oda.query.incidents import Known as KnownIncident
from oda.query.reduced import Reduced, Span, fewer_windows
from oda.query.rows import parts, rows
from oda.query.rules import RulesBook, RulesInLog
from oda.query.traced import Traced
from oda.settings import Settings
from oda.stores.archive import Columns
from oda.stores.cassandra import CassandraStore
from oda.stores.place import SLOT_MS
from oda.verdicts import Verdict

MOST_SPAN_MS = 100 * 86_400_000
"""The longest span that should be asked for: each slot of ten minutes in it is a question to Cassandra."""

MOST_WINDOWS = 20_000
"""In a span that may have more none is read, nor any band."""

MOST_ROWS = 2_000
"""Anomalies, and changes of incidents, of one answer; also late readings."""

_BEFORE_MS = (SLOT_MS, 36 * SLOT_MS)
"""How far before a span the window is looked for by which its first readings were judged, ms: near, then farther."""


_MOST_BEFORE_MS = 3 * 86_400_000
"""Windows may be as long as anybody likes."""

_KEPT_BEFORE = 10
"""Windows before a span that are looked at: by the newest of them that had closed its first readings were judged."""

_INCIDENTS_MS = 3_600_000
"""How far before a span the stored incidents are looked for that may last into it; newer ones are known anyway."""


class Asked(NamedTuple):
    """What of a series is asked for.

    Attributes:
        partition: where it is now, if that is known.
        incidents: of it, as far as they are known already.
        verdicts: of all incidents, by place.
        state: why it is not judged, or "judged"; None if it is not known.
    """

    series: str
    span: Span
    partition: int | None = None
    incidents: Sequence[KnownIncident] = ()
    verdicts: Mapping[str, Verdict] = MappingProxyType({})
    state: str | None = None


class History:
    """Asks Cassandra. Safe for threads.

    Each method raises UserError: a server can't be reached.
    """

    def __init__(self, settings: Settings, rules: RulesBook) -> None:
        self._settings = settings
        self._rules = rules
        self._lock = threading.Lock()
        self._store: CassandraStore | None = None

    def store(self) -> CassandraStore:
        """The store, opened when it is asked for first. Raises UserError."""
        with self._lock:
            if self._store is None:
                self._store = CassandraStore(self._settings)
            return self._store

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def series(self, asked: Asked) -> dict[str, Any]:
        """What a chart shows of a series; see docs/page.md for the names."""
        name, span = asked.series, asked.span
        rules = self._rules.current()
        anomalies, has_more = self._some(ANOMALIES, name, span)
        incidents = self._incidents(asked)
        rule = _newest(rules, asked.partition).of(name)
        is_too_long = rule.window is not None and span.until - span.since > MOST_WINDOWS * rule.window.size_ms
        windows = [] if is_too_long or rule.window is None else self._windows(name, span, rule.window.size_ms)
        bounds = self._bounds(name, span, windows)
        partitions = {found.partition for found in windows} | {found.partition for found in anomalies}
        partitions.add(self._partition(name) if asked.partition is None else asked.partition)
        readings, late = Reduced(span), _Late()
        bands: list[dict[str, Any]] = []
        changes: list[dict[str, Any]] = []
        for partition in sorted(partitions):
            own = [found.row for found in windows if found.partition == partition]
            told = [found.row for found in bounds if found.partition == partition]
            traced = Traced(stretches(name, own, rules.of(partition), rules.options), told)
            for columns in self._readings(name, partition, span):
                readings.take(columns)
                late.take(columns, traced.take(columns))
            bands += [] if is_too_long else traced.bands(name, partition, span)
            changes += traced.changes(rules, partition, span)
        return {
            "name": name,
            "since": span.since,
            "until": span.until,
            **readings.document(),
            "late": late.document(),
            "windows": fewer_windows([found.row for found in windows if found.row.end > span.since], span),
            "bands": bands,
            "anomalies": [ANOMALIES.document(*found) for found in anomalies],
            "has_more_anomalies": has_more,
            "incidents": incidents,
            "rules": sorted(changes, key=lambda change: (change["time"], change["version"])),
            "no_band": _no_band(rule, asked.state, is_too_long, bool(bands)),
        }

    def _windows(self, name: str, span: Span, size_ms: int) -> list[Located[ClosedWindow]]:
        """Those of a span, and the newest before it: which of them had closed is a matter of the readings."""
        found: list[Located[ClosedWindow]] = []
        sizes = min(3 * size_ms, _MOST_BEFORE_MS)
        for ms in _BEFORE_MS:
            found = list(rows(self.store(), WINDOWS, name, max(0, span.since - ms - sizes), span.since))
            if found:
                break
        before: dict[int, list[Located[ClosedWindow]]] = {}
        for one in sorted(found, key=lambda one: one.row.closed_at):
            before.setdefault(one.partition, []).append(one)
        last = [one for of_one in before.values() for one in of_one[-_KEPT_BEFORE:]]
        return [*last, *rows(self.store(), WINDOWS, name, span.since, span.until)]

    def _bounds(self, name: str, span: Span, windows: list[Located[ClosedWindow]]) -> list[Located[Bounds]]:
        """The bands that are rows, from the first of these windows on: each has the time of one."""
        if not windows:
            return []
        return list(rows(self.store(), BANDS, name, min(one.row.start for one in windows), span.until))

    def _some(self, kind: Kind[Anomaly], name: str, span: Span) -> tuple[list[Located[Anomaly]], bool]:
        """The first of a span, and whether there are more."""
        found: list[Located[Anomaly]] = []
        for one in rows(self.store(), kind, name, span.since, span.until):
            if len(found) == MOST_ROWS:
                return found, True
            found.append(one)
        return found, False

    def _incidents(self, asked: Asked) -> list[dict[str, Any]]:
        """Those that overlap with a span."""
        span, book = asked.span, Incidents(MOST_ROWS, MOST_ROWS)
        found: dict[str, KnownIncident] = {}
        for one in rows(self.store(), INCIDENTS, asked.series, max(0, span.since - _INCIDENTS_MS), span.until):
            book.take(one)
        for known in (*book.find("all", "", "", ""), *asked.incidents):
            former = found.get(known.place)
            if former is None or former.newest.number <= known.newest.number:
                found[known.place] = known
        return [
            known._replace(verdict=asked.verdicts.get(known.place)).document()
            for known in found.values()
            if known.newest.time < span.until
            and (known.newest.change != "resolved" or known.newest.changed >= span.since)
        ]

    def _readings(self, name: str, partition: int, span: Span) -> Iterator[Columns]:
        for start, end in parts(span.since, span.until):
            yield from self.store().archived(name, partition, start, end)

    def _partition(self, name: str) -> int:
        """Where Kafka's default partitioner puts a series."""
        return int(murmur2(name.encode()) & 0x7FFFFFFF) % self._settings.kafka.partitions


def _newest(rules: RulesInLog, partition: int | None) -> Any:
    marks = () if partition is None else rules.of(partition)
    return marks[-1].rules if marks else rules.options


class _Late:
    """The first readings that came when their windows had closed."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: list[float] = []

    def take(self, columns: Columns, which: Any) -> None:
        room = MOST_ROWS - len(self._times)
        at = np.flatnonzero(which)[:room]
        self._times += columns.times[at].tolist()
        self._values += columns.values[at].tolist()

    def document(self) -> dict[str, Any]:
        return {"times": self._times, "values": self._values}


def _no_band(rule: Rule, state: str | None, is_too_long: bool, has_bands: bool) -> str | None:
    """Why there is no band to be seen, or not every detector's."""
    if is_too_long:
        return "a span of so many windows shows none: zoom in"
    reasons = [f"{name} scores each reading by those before it: a band is not shown" for name in scored(rule)]
    if rule.window is None and not reasons:
        reasons.append("each reading is a window of its own: a band is not kept")
    if not has_bands and state not in (None, "judged"):
        reasons.insert(0, str(state))
    return "; ".join(reasons) or None
