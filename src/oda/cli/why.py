"""`oda why SERIES TIME`: an anomaly that was found, with what it was made of, recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from oda.cli.context import Context
from oda.collect.times import parse_time
from oda.core.batch import Readings, RuleMark
from oda.core.kinds import ANOMALIES, WINDOWS, Anomaly, Kind, Located
from oda.core.reading import Reading, RejectedError, epoch_ms
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.rules import RulesTopic
from oda.settings import Settings
from oda.shown import plain, time_text
from oda.stores.cassandra import CassandraStore
from oda.why import Archived, Explanation, explain, needs_all

Row = TypeVar("Row", bound=msgspec.Struct)

_DAY_MS = 86_400_000

_NEAR_MS = 3_600_000
"""Anomalies so far away are named where there is none at the time."""

_SHOWN = 10
"""Readings at the beginning, and at the end, of a baseline."""


def register(app: typer.Typer) -> None:
    app.command()(why)


def why(
    ctx: typer.Context,
    series: Annotated[str, typer.Argument(help="The series' name.")],
    time: Annotated[str, typer.Argument(help="Of the anomaly: RFC 3339, YYYY-MM-DD HH:MM:SS (UTC), or epoch ms.")],
    offset: Annotated[
        int | None, typer.Option(min=0, help="Of several at one time, the reading at this offset.")
    ] = None,
) -> None:
    """Explains an anomaly: what was expected, and of which readings that was learned.

    Reads it from Cassandra, with its baseline window and the archived readings of
    that, and has the core recompute both. For a detector that remembers more than
    the newest window the core runs over all that is archived of the series.

    Exit code 0: what the store has is recomputed to the last bit. 1: it is not.

    Examples:

        oda why pump-7 "2026-11-22 18:26:42"

        oda why pump-7 2026-11-22T18:26:42.123Z --offset 40712
    """
    context: Context = ctx.obj
    settings = context.settings()
    begin, end = _span(time)
    is_equal = True
    with closing(CassandraStore(settings)) as store:
        anomalies = [
            one
            for one in _located(store, ANOMALIES, series, begin, end)
            if offset is None or offset in (one.row.offset, one.row.found_at)
        ]
        if not anomalies:
            raise UserError(_none(store, series, begin))
        for one in anomalies:
            rules, marks = _rules_of(one, settings)
            found = explain(one.row, _archived(store, one, rules, marks, settings), rules, settings)
            _show(found, one.partition, needs_all(one.row, rules), Console())
            is_equal = is_equal and not found.differs
    raise typer.Exit(0 if is_equal else 1)


def _span(text: str) -> tuple[int, int]:
    """From when to when a time is meant, epoch ms: a second, if it is written without a fraction of it."""
    try:
        time = parse_time(text)
        begin = epoch_ms(time)
    except (ValueError, RejectedError) as error:
        raise UserError(f"TIME: {error}") from None
    return begin, begin + (1 if isinstance(time, int) or time.microsecond else 1000)


def _none(store: CassandraStore, series: str, time: int) -> str:
    near = _located(store, ANOMALIES, series, max(0, time - _NEAR_MS), time + _NEAR_MS)
    nearest = sorted(near, key=lambda one: abs(one.row.time - time))[:3]
    times = ", ".join(f"{time_text(one.row.time)} (offset {one.row.offset})" for one in nearest)
    told = f"the nearest are at {times}" if times else "nor within an hour of it"
    return f"Cassandra has no anomaly of {plain(series)} at {time_text(time)}; {told}"


def _located(store: CassandraStore, kind: Kind[Row], series: str, since: int, until: int) -> Iterator[Located[Row]]:
    for document in store.recent(kind, series, since, until):
        fields = {field.name: document[field.name] for field in kind.fields if field.name in document}
        yield Located(document["topic"], document["partition"], kind.row(**fields))


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
    store: CassandraStore, one: Located[Anomaly], rules: Rules, marks: list[RuleMark], settings: Settings
) -> Archived:
    row, is_all = one.row, needs_all(one.row, rules)
    if is_all:
        since = max(0, row.time - settings.cassandra.ttl_days * _DAY_MS)
        # What came before it may be of later times.
        until = row.time + settings.readings.max_ahead_ms + 1
        of_windows = since, until
    else:
        since, until = min(row.time, row.window_start), row.time + 1
        of_windows = row.window_start, row.window_start + 1
    windows = [
        found.row for found in _located(store, WINDOWS, row.series, *of_windows) if found.partition == one.partition
    ]
    until = max([until, *(window.end for window in windows)])
    readings = sorted(store.archived(row.series, one.partition, since, until))
    found = Readings.of(
        [at for at, _, _ in readings], [Reading(row.series, time, value) for _, time, value in readings]
    )
    return Archived(found.before(row.found_at + 1), windows, marks if is_all else ())


def _show(found: Explanation, partition: int, is_all: bool, console: Console) -> None:
    row = found.anomaly

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    say(
        f"{time_text(row.time)}  {plain(row.series)}  {row.value!r}, expected {row.expected!r} "
        f"({row.low!r} to {row.high!r}): score {row.score:.4g} by {plain(row.detector)}",
        "bold red",
    )
    by = f"version {row.rules} of the rules" if row.rules else "the topology's options"
    say(f"partition {partition}, offset {row.offset}, found at {row.found_at}, by {by}")
    if found.window is None:
        say("no window had closed before")
    else:
        window = found.window
        say(
            f"newest closed window: {time_text(window.start)} to {time_text(window.end)}, {window.count} readings, "
            f"mean {window.mean!r}, stddev {window.stddev!r}; closed at offset {window.closed_at} by {window.closed_by}"
        )
        _show_readings(found.baseline, say)
    if is_all:
        say("the detector remembers more: the core ran over all that is archived of the series")
    for one in found.differs:
        say(one, "red")
    if not found.differs:
        say("recomputed from the archived readings: equal to the last bit", "green")


def _show_readings(readings: Readings, say: Callable[[str], None]) -> None:
    rows = list(zip(readings.offsets.tolist(), readings.times.tolist(), readings.values.tolist(), strict=True))
    for at, time, value in rows[:_SHOWN]:
        say(f"  offset {at}  {time_text(time)}  {value!r}")
    if len(rows) > 2 * _SHOWN:
        say(f"  and {len(rows) - 2 * _SHOWN} more")
    for at, time, value in rows[max(_SHOWN, len(rows) - _SHOWN) :]:
        say(f"  offset {at}  {time_text(time)}  {value!r}")
