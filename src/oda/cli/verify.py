"""`oda verify`: audit the stores against the log, and show what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from oda.audit.audit import Report, audit, wait_until_drained
from oda.cli.context import Context
from oda.errors import shorten
from oda.kafka.problems import held_up
from oda.settings import Settings

T = TypeVar("T")

_NAMED = 5
"""How many series are named."""


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    ctx: typer.Context,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all that is in the log is done.")] = 60.0,
) -> None:
    """Compare what the stores hold with what one pass over the log gives.

    Reads the topic of readings from its beginning up to the committed offsets,
    computes windows, anomalies and incidents anew, by the rules that the log
    names, and looks for each in Cassandra, Elasticsearch and Kafka, exact to the
    last bit; also for each reading in the archive and for each rejected message.
    Works on a live system: what lies beyond the committed offsets is left out.

    Exit code 0: everything is there, once and right.
    1: something is wrong, or was not done within --wait.

    Example: [bold]oda verify --wait 120[/bold]
    """
    context: Context = ctx.obj
    raise typer.Exit(0 if is_sound(context.settings(), wait, Console()) else 1)


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
