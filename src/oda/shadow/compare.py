"""What two stores hold of one part of the log, compared by row.

What a clock decided is told apart: of two systems each has its own clock, and so may find another thing by chance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import filterfalse
from typing import Any, NamedTuple, TypeVar

from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS, Anomaly, Document, Incident, Kind
from oda.stores.contract import Store
from oda.trial.compare import Compared, Differences, compare
from oda.trial.found import Found

Row = TypeVar("Row", Anomaly, Incident)

_HOUR_MS = 3_600_000


class Span(NamedTuple):
    """Of a partition: from offset `start` on, before `end`."""

    start: int
    end: int


class Outcome(NamedTuple):
    """Of one partition; `gained` is what the shadow found and the live system did not.

    `by_clock` has those gained and lost that hang on a window that a clock closed; none is `same` there.
    """

    decided: Differences
    by_clock: Differences


def outcomes(shadow: Store, live: Store, spans: Mapping[int, Span]) -> dict[int, Outcome]:
    """Compare two stores, partition by partition, in these parts of the log.

    Raises:
        UserError: a store can't be read.
    """
    ours, theirs = _found(shadow, spans), _found(live, spans)
    compared = {
        partition: _within(compare(ours[partition], theirs[partition]), span) for partition, span in spans.items()
    }
    differ = [row for one in compared.values() for row in (*one.anomalies.gained, *one.anomalies.lost)]
    by_clock = _closed_by_clock(differ, shadow) | _closed_by_clock(differ, live)
    return {partition: _apart(one, by_clock) for partition, one in compared.items()}


def _found(store: Store, spans: Mapping[int, Span]) -> dict[int, Found]:
    """Anomalies of the spans, and incidents before their ends, as far as they had come by then."""
    found = {partition: Found() for partition in spans}
    newest: dict[tuple[int, int, str], Incident] = {}
    for partition, anomaly in _rows(store, ANOMALIES, spans):
        if anomaly.offset >= spans[partition].start:
            found[partition].anomalies.append(anomaly)
    for partition, incident in _rows(store, INCIDENTS, spans):
        identity = partition, incident.offset, incident.detector
        if identity not in newest or newest[identity].number < incident.number:
            newest[identity] = incident
    for (partition, _, _), incident in sorted(newest.items()):
        found[partition].incidents.append(incident)
    for one in found.values():
        one.anomalies.sort(key=lambda anomaly: (anomaly.offset, anomaly.detector))
    return found


def _rows(store: Store, kind: Kind[Any], spans: Mapping[int, Span]) -> Iterable[tuple[int, Any]]:
    for _, document in store.rows(kind):
        span = spans.get(document["partition"])
        if span is not None and document[kind.made_at] < span.end:
            yield document["partition"], _row(kind, document)


def _row(kind: Kind[Any], document: Document) -> Any:
    return kind.row(**{field.name: document[field.name] for field in kind.fields if field.name in document})


def _within(found: Differences, span: Span) -> Differences:
    """Without the live incidents that opened before the span: the shadow can't have them."""
    lost = [one for one in found.incidents.lost if one.offset >= span.start]
    return found._replace(incidents=found.incidents._replace(lost=lost))


def _closed_by_clock(anomalies: Iterable[Anomaly], store: Store) -> set[tuple[str, int]]:
    """The windows that anomalies are of, or were judged against, if the clock closed them: series and start."""
    hours = sorted({(one.series, start // _HOUR_MS) for one in anomalies for start in _starts(one)})
    return {
        (series, row["start"])
        for series, hour in hours
        for row in store.recent(WINDOWS, series, hour * _HOUR_MS, (hour + 1) * _HOUR_MS)
        if row["closed_by"] == "clock"
    }


def _starts(anomaly: Anomaly) -> set[int]:
    """Of the windows that it may hang on."""
    return {anomaly.time, anomaly.window_start} - {0}


def _apart(found: Differences, windows: set[tuple[str, int]]) -> Outcome:
    """`windows` has series and start of those that a clock closed."""

    def is_by_clock(anomaly: Anomaly) -> bool:
        return any((anomaly.series, start) in windows for start in _starts(anomaly))

    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for one in (*found.anomalies.gained, *found.anomalies.lost):
        if is_by_clock(one):
            times[one.series, one.detector].append(one.time)
    for of_series in times.values():
        of_series.sort()

    def has_some_by_clock(incident: Incident) -> bool:
        of_series = times.get((incident.series, incident.detector), [])
        at = bisect_left(of_series, incident.time)
        return at < len(of_series) and of_series[at] <= incident.last_time

    anomalies, incidents = _split(found.anomalies, is_by_clock), _split(found.incidents, has_some_by_clock)
    return Outcome(Differences(anomalies[0], incidents[0]), Differences(anomalies[1], incidents[1]))


def _split(rows: Compared[Row], is_apart: Callable[[Row], bool]) -> tuple[Compared[Row], Compared[Row]]:
    """Those that differ, in two; what is the same stays with the first."""
    kept = [list(filterfalse(is_apart, of)) for of in (rows.gained, rows.lost)]
    apart = [list(filter(is_apart, of)) for of in (rows.gained, rows.lost)]
    return Compared(kept[0], kept[1], rows.same), Compared(apart[0], apart[1], [])
