"""`oda verify`: audit the stores against the log, and show what is wrong."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from oda.audit.audit import Report, audit, wait_until_drained
from oda.audit.service import Auditing
from oda.cli.context import Context
from oda.core.duration import milliseconds
from oda.errors import UserError, shorten
from oda.kafka.problems import held_up
from oda.settings import Settings
from oda.shown import time_text

T = TypeVar("T")

_NAMED = 5
"""How many series are named."""


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    ctx: typer.Context,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all that is in the log is done.")] = 60.0,
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Audit what is new again and again; such as 10m.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Where --every keeps how far it is.", show_default=".oda/audit/GROUP")
    ] = None,
) -> None:
    """Compare what the stores hold with what one pass over the log gives.

    Reads the topic of readings from its beginning up to the committed offsets,
    computes windows, anomalies and incidents anew, by the rules that the log
    names, and looks for each in Cassandra, Elasticsearch and Kafka, exact to the
    last bit; also for each reading in the archive and for each rejected message.
    Works on a live system: what lies beyond the committed offsets is left out.

    With --every it is a service, until Ctrl-C: each audit goes on where the one
    before ended, by a checkpoint of its own, so it costs what is new, and works
    when retention has taken what is audited. It does not wait until all is done.
    What the newest found is in the topic oda.audits, and on the page.

    Exit code 0: everything is there, once and right.
    1: something is wrong, or was not done within --wait.

    Examples:

        oda verify --wait 120

        oda verify --every 10m
    """
    context: Context = ctx.obj
    settings = context.settings()
    if every is None:
        raise typer.Exit(0 if is_sound(settings, wait, Console()) else 1)
    path = checkpoint or Path(".oda") / "audit" / settings.kafka.group
    _serve(Auditing(settings, path), _seconds(every), Console())


def _seconds(every: str) -> float:
    try:
        found = milliseconds(every) / 1000
    except ValueError:
        found = 0
    if found < 1:
        raise UserError(f"--every {every}: must be a length of time from 1s on, such as 10m")
    return float(found)


def _serve(auditing: Auditing, seconds: float, console: Console) -> None:
    """Does not return; what goes wrong is told, and tried again."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    while True:
        began = time.monotonic()
        try:
            report, record = auditing.step(lambda items, what, total: items)  # noqa: ARG005 - shows no progress
        except UserError as error:
            console.print(Text(f"{_now()}  not audited: {error}", "yellow"), soft_wrap=True)
            with suppress(UserError):
                auditing.tell(str(error))
        else:
            new = sum(record.offsets.values()) - sum(record.since.values())
            told = (
                f"{_now()}  audited to offset {sum(record.offsets.values())}, {new} of them new, in {record.seconds} s"
            )
            console.print(Text(f"{told}: {report.faults} differences, {record.differences} in all"), soft_wrap=True)
            for line in record.examples:
                console.print(Text(f"  {line}", "red"), soft_wrap=True)
        time.sleep(max(0.0, began + seconds - time.monotonic()))


def _now() -> str:
    return time_text(int(time.time() * 1000)).partition(".")[0]


def is_sound(settings: Settings, wait: float, console: Console) -> bool:
    """Audit, print the result; False if anything is wrong, or was not done within `wait` seconds."""
    behind = _drain(settings, wait, console)
    report = _audit(settings, console)
    _show(report, console)
    for partition, offset in report.positions.held.items():
        console.print(f"[yellow]{escape(held_up(settings.kafka.readings, partition, offset))}[/yellow]", soft_wrap=True)
    if behind:
        console.print(f"[red]Not drained: {behind} offsets were not committed within {wait:g} s.[/red]")
    return not (report.faults or behind)


def _drain(settings: Settings, wait: float, console: Console) -> int:
    with console.status("Asking how far the topology has come ...") as status:

        def show(behind: int, held: Mapping[int, int]) -> None:
            why = f", behind an open transaction in partition {min(held)}" if held else ""
            status.update(f"Waiting for the topology: {behind} offsets behind{why} ...")

        return wait_until_drained(settings, wait, show)


def _audit(settings: Settings, console: Console) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:

        def track(items: Iterable[T], what: str, total: int | None) -> Iterable[T]:
            return progress.track(items, total=total, description=what)

        return audit(settings, track)


def _show(report: Report, console: Console) -> None:
    table = Table("store", "rows", "expected", "found", "missing", "extra", "different")
    for column in table.columns[2:]:
        column.justify = "right"
    for result in report.comparisons:
        faults = (f"[red]{count}[/red]" if count else "0" for count in (result.missing, result.extra, result.different))
        table.add_row(result.store, result.rows, str(result.expected), str(result.found), *faults)
    console.print(table)
    for result in report.comparisons:
        for fault, examples in result.examples.items():
            for example in examples:
                line = f"[red]{fault}[/red] {result.store} {result.rows}: {escape(example)}"
                console.print(line, highlight=False, soft_wrap=True)
    if report.scattered:
        names = escape(", ".join(repr(shorten(name, 50)) for name in report.scattered[:_NAMED]))
        console.print(
            f"[yellow]{len(report.scattered)} series are in several partitions, with windows of their own in each: "
            f"{names}{', ...' if len(report.scattered) > _NAMED else ''}[/yellow]\n"
            "Send each reading with its series as the key, by Kafka's default partitioner. (Series also move when a "
            "topic gets more partitions.)",
            highlight=False,
            soft_wrap=True,
        )
    covered = sum(report.positions.committed.values())
    console.print(
        f"{covered} offsets in {len(report.positions.committed)} partitions: {report.accepted} readings, "
        f"{report.rejected} rejected messages. "
        + (f"[red]{report.faults} rows are wrong.[/red]" if report.faults else "[green]All stores agree.[/green]")
    )
