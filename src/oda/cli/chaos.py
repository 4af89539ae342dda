"""`oda chaos`: strikes the local cluster with faults while it works, then audits it."""

from __future__ import annotations

import time
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.bench.own import own_stream
from oda.chaos.faults import Fault
from oda.chaos.recovery import Recovery
from oda.chaos.runner import Run, Timeline, all_faults
from oda.chaos.signals import end_at_sigterm
from oda.chaos.system import System
from oda.cli.context import Context
from oda.cli.servers import local_cluster
from oda.cli.verify import is_sound
from oda.errors import UserError

_DRAIN_SECONDS = 180.0


def register(app: typer.Typer) -> None:
    app.command()(chaos)


def chaos(
    ctx: typer.Context,
    minutes: Annotated[float, typer.Option(min=0, help="For how long faults strike.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed and number say which fault is struck.")] = 1,
    first: Annotated[int, typer.Option("--from", min=1, help="The number of the first fault: goes on with a run.")] = 1,
    faults: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
    only: Annotated[str | None, typer.Option(help="Only faults whose name contains this.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many workers the topology gets.")] = 2,
) -> None:
    """Kill, pause and confuse the local cluster under load, with topics and tables of its own, and audit it.

    Anything else that runs on the cluster is struck, too. The disk of a server is filled only where
    its data folder is a file system of its own (docs/guarantees.md). Exit code 1 if anything was lost,
    counted twice, or did not recover; 130 after Ctrl-C, 143 after SIGTERM, when what was struck is healed and
    the topology is gone.

    Examples:

        oda chaos --minutes 10 --seed 1

        oda chaos --minutes 10 --seed 1 --from 17

        oda chaos --faults 3 --only "kill worker"
    """
    context: Context = ctx.obj
    console = Console()
    end_at_sigterm()
    with own_stream(context) as (storm, settings):
        name, options = settings.kafka.group, (f"topology.workers={workers}",)
        with storm.running(name, *options):
            system = System(local_cluster(context, console), storm, settings, name, options)
            end = time.monotonic() + minutes * 60
            run = Run(system, lambda line: console.print(line, highlight=False))
            run.strike(_chosen(all_faults(system), only), seed, first, lambda n: n == faults or time.monotonic() > end)
            timeline = run.timeline
            console.print(_table(timeline))
            console.print(f"{timeline.acknowledged} readings were acknowledged to the load.")
            console.print(f"The rules became others {timeline.rules} times.")
            counted = timeline.in_log == timeline.acknowledged
            if not counted:
                console.print(f"[red]The log has {timeline.in_log}.[/red]")
            sound = is_sound(settings, _DRAIN_SECONDS, console)
    if not (sound and counted and timeline.recovered):
        last = first + sum(map(len, timeline.recoveries.values())) - 1
        console.print(f"[red]The run with --seed {seed} has failed; its last fault was number {last}.[/red]")
        raise typer.Exit(1)


def _chosen(faults: list[Fault], only: str | None) -> list[Fault]:
    found = [fault for fault in faults if only is None or only in fault.name]
    if not found:
        raise UserError(f"--only {only}: no fault has that in its name; there are: {', '.join(f.name for f in faults)}")
    return found


def _table(timeline: Timeline) -> Table:
    title = "Seconds from the end of a fault (median, worst)"
    table = Table(
        "fault", "times", *(f"{name}\n{of}" for name in Recovery._fields for of in ("median", "worst")), title=title
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, found in sorted(timeline.recoveries.items()):
        figures = (f"{figure(seconds):.1f}" for seconds in zip(*found, strict=True) for figure in (median, max))
        table.add_row(name, str(len(found)), *figures)
    return table
