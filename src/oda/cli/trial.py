"""`oda try FILE`: what would be found in the readings of a file; needs no servers."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from oda.cli import tried
from oda.cli.context import Context
from oda.cli.csvfiles import BadRows, character
from oda.cli.rules import from_file
from oda.collect.timeunit import TimeUnit
from oda.core.batch import Readings
from oda.core.groups.suppression import Suppression
from oda.core.rules.match import Rules, of_options
from oda.errors import UserError
from oda.say import say
from oda.settings import Settings
from oda.shown import plain
from oda.trial.compare import Differences, compare
from oda.trial.found import Found
from oda.trial.guess import Given
from oda.trial.page import page
from oda.trial.run import Trial
from oda.trial.source import Source, opened
from oda.trial.verdicts import Scored, score
from oda.verdicts import Verdict, newest

_SERVERS = {
    "oda.kafka.brokers": "127.0.0.1:9092",
    "oda.cassandra.hosts": "127.0.0.1:9042",
    "oda.elasticsearch.urls": "http://127.0.0.1:9200",
}
"""Which are not asked; settings have to name some."""


def register(app: typer.Typer) -> None:
    app.command("try")(try_)


def try_(
    ctx: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(help="CSV with a header row, JSON lines, or Parquet; - is stdin.", show_default=False),
    ] = None,
    topic: Annotated[bool, typer.Option("--topic", help="Not a file: what the topic of readings has.")] = False,
    archive: Annotated[bool, typer.Option("--archive", help="Not a file: what Cassandra has archived.")] = False,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="OFFSET|TIME", help="Of either, where to begin.", show_default=False),
    ] = None,
    until: Annotated[str, typer.Option(metavar="now|TIME", help="Of either, where to end.")] = "now",
    rules: Annotated[Path | None, typer.Option(help="A file of rules.", show_default="the topology's options")] = None,
    against: Annotated[Path | None, typer.Option(help="Other rules: what do they find that these do not?")] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(help="What people said of incidents, as `oda consume --topic oda.verdicts` prints it."),
    ] = None,
    page_: Annotated[Path | None, typer.Option("--page", help="Write a page with charts: one HTML file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    time_column: Annotated[str | None, typer.Option(help="Of the times.", show_default="guessed")] = None,
    value_column: Annotated[str | None, typer.Option(help="Of the numbers.", show_default="guessed")] = None,
    series: Annotated[
        str | None,
        typer.Option(help="The series' name; of topic or archive a glob.", show_default="the file's name, or all"),
    ] = None,
    series_column: Annotated[
        str | None, typer.Option(help="The column that names each row's series.", show_default="guessed")
    ] = None,
    time_unit: Annotated[
        TimeUnit | None, typer.Option(help="What a time that is a number counts.", show_default="guessed")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What separates the fields: one character, or \\t.", show_default="guessed")
    ] = None,
) -> None:
    """Shows what would be found in the readings of a file: no servers, no set-up.

    The same core runs over them as in the topology, in the order of the file. Its
    clock is the largest time so far. With --topic or --archive it runs over what
    the running system has, which notices nothing of it. Of the topic --from and
    --until are when readings came (or an offset), of the archive their own times.

    Exit code 0: done, whatever was found. 1: some rows are no readings, or the
    rules are wrong.

    Examples:

        oda try nyc_taxi.csv --rules docs/taxi.yaml --page taxi.html

        oda try pumps.csv --rules new.yaml --against rules.yaml

        oda try pumps.csv --rules new.yaml --against rules.yaml --verdicts verdicts.jsonl

        zcat pumps.csv.gz | oda try - --json | jq .incidents

        oda try --topic --from 2026-11-25T00:00:00Z --series "pump-*" --rules new.yaml
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if series is not None and series_column is not None:
        raise UserError("give either --series or --series-column")
    if [file is not None, topic, archive].count(True) != 1:
        raise UserError("give one of FILE, --topic and --archive")
    settings = _settings(ctx.obj)
    chosen = [from_file(rules, settings) if rules else of_options(settings)]
    if against:
        chosen.append(from_file(against, settings))
    said = _said(verdicts) if verdicts else []
    keep = page_ is not None
    if file is None:
        title = f"topic {settings.kafka.readings}" if topic else "the archive"
        bad = BadRows(title)
        from oda.cli.trial_of_system import over_archive, over_topic  # files need no clients of servers

        over = over_topic if topic else over_archive
        found, *others = over(settings, chosen, from_, until, series or "*", keep)
        if any(one.groups for one in chosen):
            say(f"{title}: groups are not tried, since their members are in many partitions; of a file they are")
    else:
        path = None if file == "-" else Path(file)
        name = series or (path.stem if path else "stdin")
        delimiter = delimiter and character(delimiter)
        given = Given(name, time_column, value_column, series_column, series is None, delimiter, time_unit)
        title = plain(path.name if path else "stdin")
        bad = BadRows(title)
        trials = [Trial(settings, one, keep) for one in chosen]
        _run(trials, path, given, bad, title)
        found, *others = [trial.end() for trial in trials]
    if not found.series:
        raise UserError(f"{title}: there is no reading in it")
    differences = compare(found, others[0]) if others else None
    scores = [score(one, rules_, said) for one, rules_ in zip([found, *others], chosen, strict=True)] if said else []
    if page_ is not None:
        _write(page_, page(title, found, chosen[0], bad.count, bad.shown, differences))
    if json_:
        print(msgspec.json.encode(_document(found, chosen[0], bad, differences, scores)).decode())
    else:
        tried.show(title, found, chosen[0], bad.count, differences, Console())
        tried.scored(scores, Console())
    if page_ is not None:
        say(f"{page_} has the charts")
    if bad.count:
        raise typer.Exit(1)


def _run(trials: Sequence[Trial], path: Path | None, given: Given, bad: BadRows, title: str) -> None:
    with opened(path, given, bad) as source:
        for note in source.notes:
            say(f"{title}: {note}")
        for readings in _progress(source, title):
            for trial in trials:
                trial.take(readings)
    bad.summarise()


def _settings(context: Context) -> Settings:
    """Those of the config.json that was named, or is there; else the defaults."""
    if context.config == Path("config.json") and not context.config.exists():
        return Settings.from_options(_SERVERS)
    return context.settings()


def _progress(source: Source, title: str) -> Iterator[Readings]:
    """The readings, while a bar on a terminal shows how far they are."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=source.size)
        for readings in source.parts:
            yield readings
            progress.update(task, completed=source.done())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"--page {path}: {error.strerror}") from None


def _said(path: Path) -> list[Verdict]:
    """Of each incident the newest. Raises UserError: there is none in the file."""
    try:
        found = newest(path.read_bytes().splitlines())
    except OSError as error:
        raise UserError(f"--verdicts {path}: {error.strerror}") from None
    if not found:
        raise UserError(
            f"--verdicts {path}: there is no verdict in it; "
            "`oda consume --topic oda.verdicts --from-beginning` prints those that people gave on the page"
        )
    return list(found.values())


def _document(
    found: Found, rules: Rules, bad: BadRows, differences: Differences | None, scores: Sequence[Scored]
) -> dict[str, Any]:
    suppression = Suppression(rules, found.incidents)
    document: dict[str, Any] = {
        "incidents": [msgspec.structs.asdict(one) | {"suppressed_by": suppression.by(one)} for one in found.incidents],
        "anomalies": list(map(msgspec.structs.asdict, found.anomalies)),
        "series": {name: counts._asdict() for name, counts in found.series.items()},
        "left_out": {"rows": bad.count, "first": bad.shown},
    }
    if differences is not None:
        document["against"] = {
            kind: {which: list(map(msgspec.structs.asdict, rows)) for which, rows in compared._asdict().items()}
            for kind, compared in differences._asdict().items()
        }
    if scores:
        document["verdicts"] = [one._asdict() for one in scores]
    return document
