"""What an anomaly was made of: read from Cassandra and the topic of rules, and recomputed (`oda.why`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol

from oda.core.batch import Readings, RuleMark
from oda.core.kinds import ANOMALIES, WINDOWS, Anomaly, Document, Kind, Located
from oda.core.reading import Reading
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.rules import RulesTopic
from oda.query.rows import rows
from oda.settings import Settings
from oda.shown import plain, time_text
from oda.stores.archive import Columns
from oda.why import Archived, Explanation, explain, needs_all

_DAY_MS = 86_400_000

_NEAR_MS = 3_600_000
"""Anomalies so far away are named where there is none at the time."""

_SHOWN = 10
"""Readings at the beginning, and at the end, of a baseline."""


class NoAnomaly(UserError):  # noqa: N818 - what there is not
    """There is none where one was asked for."""


class Online(Protocol):
    """What is needed of Cassandra; see `oda.stores.cassandra`."""

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterable[Document]:
        """Rows of a series."""

    def archived(self, series: str, partition: int, since: int, until: int) -> Iterable[Columns]:
        """Readings of a series."""


def anomalies(store: Online, series: str, since: int, until: int, offset: int | None) -> list[Located[Anomaly]]:
    """Those with `since <= time < until` (epoch ms), at an offset if one is given.

    Raises:
        NoAnomaly: there is none; the text names the nearest.
    """
    found = [
        one
        for one in rows(store, ANOMALIES, series, since, until)
        if offset is None or offset in (one.row.offset, one.row.found_at)
    ]
    if not found:
        raise NoAnomaly(_none(store, series, since))
    return found


def _none(store: Online, series: str, time: int) -> str:
    near = rows(store, ANOMALIES, series, max(0, time - _NEAR_MS), time + _NEAR_MS)
    nearest = sorted(near, key=lambda one: abs(one.row.time - time))[:3]
    times = ", ".join(f"{time_text(one.row.time)} (offset {one.row.offset})" for one in nearest)
    told = f"the nearest are at {times}" if times else "nor within an hour of it"
    return f"Cassandra has no anomaly of {plain(series)} at {time_text(time)}; {told}"


def explained(store: Online, one: Located[Anomaly], settings: Settings) -> tuple[Explanation, bool]:
    """An anomaly recomputed, and whether all that is archived of the series went into that. Raises UserError."""
    rules, marks = _rules_of(one, settings)
    is_all = needs_all(one.row, rules)
    return explain(one.row, _archived(store, one, is_all, marks, settings), rules, settings), is_all


def _rules_of(one: Located[Anomaly], settings: Settings) -> tuple[Rules, list[RuleMark]]:
    """Those of an anomaly's version, and where in its partition each version begins. Raises UserError."""
    if not one.row.rules:
        return of_options(settings), []
    with closing(RulesTopic(settings.kafka)) as topic:
        try:
            rules = parse(topic.read(one.row.rules), settings, one.row.rules)
        except LookupError:
            raise UserError(f"topic {settings.kafka.rules} has no rules of version {one.row.rules}") from None
        marks = [
            RuleMark(offsets[one.partition], version, topic.read(version))
            for version, offsets in sorted(topic.marks().items())
            if one.partition in offsets
        ]
    return rules, marks


def _archived(
    store: Online, one: Located[Anomaly], is_all: bool, marks: list[RuleMark], settings: Settings
) -> Archived:
    row = one.row
    if is_all:
        since = max(0, row.time - settings.cassandra.ttl_days * _DAY_MS)
        # What came before it may be of later times.
        until = row.time + settings.readings.max_ahead_ms + 1
        of_windows = since, until
    else:
        since, until = min(row.time, row.window_start), row.time + 1
        of_windows = row.window_start, row.window_start + 1
    windows = [found.row for found in rows(store, WINDOWS, row.series, *of_windows) if found.partition == one.partition]
    until = max([until, *(window.end for window in windows)])
    parts = store.archived(row.series, one.partition, since, until)
    readings = sorted(reading for part in parts for reading in zip(*(column.tolist() for column in part), strict=True))
    found = Readings.of(
        [at for at, _, _ in readings], [Reading(row.series, time, value) for _, time, value in readings]
    )
    return Archived(found.before(row.found_at + 1), windows, marks if is_all else ())


def lines(found: Explanation, partition: int, is_all: bool) -> Iterator[tuple[str, str]]:
    """What to tell people, line by line, each with what it is: `title`, `fact`, `reading`, `wrong` or `right`."""
    row = found.anomaly
    yield (
        f"{time_text(row.time)}  {plain(row.series)}  {row.value!r}, expected {row.expected!r} "
        f"({row.low!r} to {row.high!r}): score {row.score:.4g} by {plain(row.detector)}",
        "title",
    )
    by = f"version {row.rules} of the rules" if row.rules else "the topology's options"
    yield f"partition {partition}, offset {row.offset}, found at {row.found_at}, by {by}", "fact"
    if found.window is None:
        yield "no window had closed before", "fact"
    else:
        window = found.window
        yield (
            f"newest closed window: {time_text(window.start)} to {time_text(window.end)}, {window.count} readings, "
            f"mean {window.mean!r}, stddev {window.stddev!r}; "
            f"closed at offset {window.closed_at} by {window.closed_by}",
            "fact",
        )
        yield from ((text, "reading") for text in _readings(found.baseline))
    if is_all:
        yield "the detector remembers more: the core ran over all that is archived of the series", "fact"
    yield from ((text, "wrong") for text in found.differs)
    if not found.differs:
        yield "recomputed from the archived readings: equal to the last bit", "right"


def _readings(readings: Readings) -> Iterator[str]:
    found = list(zip(readings.offsets.tolist(), readings.times.tolist(), readings.values.tolist(), strict=True))
    for at, time, value in found[:_SHOWN]:
        yield f"  offset {at}  {time_text(time)}  {value!r}"
    if len(found) > 2 * _SHOWN:
        yield f"  and {len(found) - 2 * _SHOWN} more"
    for at, time, value in found[max(_SHOWN, len(found) - _SHOWN) :]:
        yield f"  offset {at}  {time_text(time)}  {value!r}"
