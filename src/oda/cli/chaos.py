"""`oda chaos`: strikes the local cluster with faults while it works, then audits it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from oda.audit.audit import Report, wait_until_drained
from oda.audit.record import AuditRecord
from oda.audit.service import Auditing
from oda.bench.own import own_stream
from oda.chaos.faults import Fault
from oda.chaos.machines import machine_faults
from oda.chaos.recovery import Recovery
from oda.chaos.runner import Run, Timeline, all_faults
from oda.chaos.signals import end_at_sigterm
from oda.chaos.system import System
from oda.chaos.whole import patiently
from oda.cli.context import Context
from oda.cli.machines import entered
from oda.cli.servers import local_cluster
from oda.cli.verify import is_sound
from oda.cluster.accounts import ADMIN, environments
from oda.errors import UserError
from oda.settings import Settings
from oda.storm.sparse import jar

_DRAIN_SECONDS = 180.0

_RATE = 200.0
"""Readings a second."""

_RATE_ON_MACHINES = 20.0
"""All of which share the cores of this one."""


def register(app: typer.Typer) -> None:
    app.command()(chaos)


def chaos(
    ctx: typer.Context,
    minutes: Annotated[float, typer.Option(min=0, help="For how long faults strike.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed and number say which fault is struck.")] = 1,
    first: Annotated[int, typer.Option("--from", min=1, help="The number of the first fault: goes on with a run.")] = 1,
    faults: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only faults whose name contains this, or one of several such.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many workers the topology gets.", show_default="2; one a machine")
    ] = None,
    machines: Annotated[bool, typer.Option("--machines", help="Strike the machines of `oda machines`.")] = False,
) -> None:
    """Kill, pause and confuse the local cluster under load, with topics and tables of its own, and audit it.

    With --machines, one of the machines of `oda machines up` dies, loses its disk, is cut off, has a wrong clock
    (where Debian's libfaketime is installed), one more joins and goes again, or all are restarted in turn. After each
    fault the run waits until all have their replicas again, and audits.

    Anything else that runs on the cluster is struck, too. The disk of a server is filled only where
    its data folder is a file system of its own (docs/guarantees.md). Exit code 1 if anything was lost,
    counted twice, or did not recover; 130 after Ctrl-C, 143 after SIGTERM, when what was struck is healed and
    the topology is gone.

    Examples:

        oda chaos --minutes 10 --seed 1

        oda chaos --minutes 10 --seed 1 --from 17

        oda chaos --faults 3 --only "kill worker"

        oda chaos --machines --minutes 60 --seed 3

        oda chaos --machines --faults 2 --only "death of m1" --only "m2 cut off for 5 s"
    """
    context: Context = ctx.obj
    console = Console()
    end_at_sigterm()
    if machines:
        jar()  # which needs what the machines do not reach
        cluster = entered(context, console)
        context = Context(environments(cluster.layout), ADMIN)
    else:
        cluster = local_cluster(context, console)
    with own_stream(context) as (storm, settings), tempfile.TemporaryDirectory() as folder:
        for other in storm.names():
            console.print(f"[yellow]Topology {other} runs here, too: it is struck, and slows the rest.[/yellow]")
        count = workers or (len(cluster.layout.places["supervisor"]) if machines else 2)
        name, options = settings.kafka.group, (f"topology.workers={count}",)
        system = System(cluster, storm, settings, name, options)
        chosen = _chosen(machine_faults(system) if machines else all_faults(system), only or [])
        with storm.running(name, *options):
            end = time.monotonic() + minutes * 60
            audit = Audits(settings, Path(folder), console).sound if machines else None
            rate = _RATE_ON_MACHINES if machines else _RATE
            run = Run(system, lambda line: console.print(line, highlight=False), rate, audit)
            run.strike(chosen, seed, first, lambda n: n == faults or time.monotonic() > end)
            timeline = run.timeline
            console.print(_table(timeline))
            console.print(f"{timeline.acknowledged} readings were acknowledged to the load.")
            console.print(f"The rules became others {timeline.rules} times.")
            counted = timeline.in_log == timeline.acknowledged
            if not counted:
                console.print(f"[red]The log has {timeline.in_log}.[/red]")
            sound = patiently(lambda: is_sound(settings, _DRAIN_SECONDS, console))
    if not (sound and timeline.clean):
        last = first + sum(map(len, timeline.recoveries.values())) - 1
        console.print(f"[red]The run with --seed {seed} has failed; its last fault was number {last}.[/red]")
        raise typer.Exit(1)


class Audits:
    """Audits one after the other, each of what is new."""

    def __init__(self, settings: Settings, folder: Path, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._auditing = Auditing(settings, folder / "checkpoint")

    def sound(self) -> bool:
        """Whether all is done in time, and nothing is wrong; prints what is not."""
        behind, report, record = patiently(self._audited)
        for problem in (f"{behind} offsets are not committed", *record.examples)[not behind :]:
            self._console.print(f"[red]{escape(problem)}[/red]", soft_wrap=True)
        self._console.print(f"            {report.accepted} readings audited, {report.faults} rows are wrong")
        return not (behind or report.faults)

    def _audited(self) -> tuple[int, Report, AuditRecord]:
        behind = wait_until_drained(self._settings, _DRAIN_SECONDS, lambda *_: None)
        return behind, *self._auditing.step(lambda items, what, total: items)  # noqa: ARG005 - shows no progress


def _chosen(faults: list[Fault], only: list[str]) -> list[Fault]:
    for part in only:
        if not any(part in fault.name for fault in faults):
            there = ", ".join(fault.name for fault in faults)
            raise UserError(f"--only {part}: no fault has that in its name; there are: {there}")
    return [fault for fault in faults if not only or any(part in fault.name for part in only)]


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
