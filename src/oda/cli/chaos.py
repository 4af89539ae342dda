"""`oda chaos`: strikes the local cluster with faults while it works, then audits it."""

from __future__ import annotations

import time
from math import inf
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.bench.own import own_stream
from oda.chaos.faults import System
from oda.chaos.runner import Timeline, run
from oda.cli.context import Context
from oda.cli.servers import local_cluster
from oda.cli.verify import is_sound

_DRAIN_SECONDS = 180.0


def register(app: typer.Typer) -> None:
    """Add `chaos` to the app."""
    app.command()(chaos)


def chaos(
    ctx: typer.Context,
    minutes: Annotated[float, typer.Option(min=0, help="For how long faults strike.")] = 10.0,
    seed: Annotated[int, typer.Option(help="The same seed chooses the same faults.")] = 1,
    faults: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
    only: Annotated[str | None, typer.Option(help="Only faults whose name contains this.")] = None,
) -> None:
    """Kill, pause and confuse the local cluster under load, with topics and tables of its own, and audit it.

    Anything else that runs on the cluster is struck, too. Exit code 1 if anything was lost, counted
    twice, or did not recover.

    Examples:

        oda chaos --minutes 10 --seed 1

        oda chaos --faults 3 --only "kill worker"
    """
    context: Context = ctx.obj
    console = Console()
    with own_stream(context) as (storm, settings):
        name = settings.kafka.group
        with storm.running(name):
            system = System(local_cluster(context, console), storm, settings, name)
            end = time.monotonic() + minutes * 60
            timeline = run(
                system,
                seed,
                lambda struck: struck == faults or time.monotonic() > end,
                lambda line: console.print(line, highlight=False),
                only,
            )
            console.print(_table(timeline))
            console.print(f"{timeline.acknowledged} readings were acknowledged to the load.")
            sound = is_sound(settings, _DRAIN_SECONDS, console)
    if not (sound and timeline.recovered):
        console.print(f"[red]The run with --seed {seed} has failed.[/red]")
        raise typer.Exit(1)


def _table(timeline: Timeline) -> Table:
    table = Table("fault", "times", "median, s", "worst, s", title="From the end of a fault to new readings judged")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, found in sorted(timeline.recoveries.items()):
        seconds = [inf if one is None else one for one in found]
        table.add_row(name, str(len(found)), f"{median(seconds):.1f}", f"{max(seconds):.1f}")
    return table
