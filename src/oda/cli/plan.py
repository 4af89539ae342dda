"""`oda plan`: how large a cluster must be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from oda.errors import UserError
from oda.paths import ROOT
from oda.plan.demand import Demand
from oda.plan.measured import CostRun, GroupRun, NodeRun, ScaleRun
from oda.plan.model import BUSY, MACHINE_CORES, MACHINE_DISK, SERVED, Model, Plan

COST = ROOT / "benchmarks/cost.json"
"""Written by `oda bench cost`."""

SCALING = ROOT / "benchmarks/scaling.json"
"""Written by `oda bench workers --quota`."""

NODES = ROOT / "benchmarks/nodes.json"
"""Written by `oda bench nodes`."""

GROUPS = ROOT / "benchmarks/groups.json"
"""Written by `oda bench groups`."""

_Run = TypeVar("_Run")


def register(app: typer.Typer) -> None:
    app.command()(plan)


def plan(
    series: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many series.")],
    rate: Annotated[float, typer.Option(min=1, help="Readings a second, over all series.")],
    retention: Annotated[float, typer.Option(min=0.01, help="Days that everything is kept.")],
    groups: Annotated[int, typer.Option(min=0, max=10_000_000, help="How many groups of series.")] = 0,
    members: Annotated[
        int | None, typer.Option(min=1, help="Series of a group.", show_default="all are dealt to the groups")
    ] = None,
) -> None:
    """Partitions, executors, machines and disk for a load, from what `oda bench` measured.

    docs/capacity.md tells the model and how near it comes.

    Examples:

        [bold]oda plan --series 100000 --rate 50000 --retention 30[/bold]

        [bold]oda plan --series 100000 --rate 50000 --retention 30 --groups 1000[/bold]
    """
    if members is not None and not groups:
        raise UserError("--members says how large a group is: say with --groups how many there are")
    if members is not None and members > series:
        raise UserError(f"a group can't have {members:,} members of {series:,} series: lower --members")
    of_each = members or series / max(1, groups)
    _show(load_model().plan(Demand(series, rate, retention, groups, of_each)), Console())


def load_model() -> Model:
    """Fitted to benchmarks/cost.json and groups.json, and, if they have been measured, scaling.json and nodes.json."""
    return Model(_runs(COST, CostRun), _measured(SCALING, ScaleRun), _runs(GROUPS, GroupRun), _measured(NODES, NodeRun))


def _runs(file: Path, kind: type[_Run]) -> list[_Run]:
    return msgspec.json.decode(file.read_bytes(), type=list[kind])  # type: ignore[valid-type]


def _measured(file: Path, kind: type[_Run]) -> list[_Run]:
    return _runs(file, kind) if file.exists() else []


def _show(found: Plan, console: Console) -> None:
    console.print(
        f"Machines of {MACHINE_CORES} cores and {MACHINE_DISK / 1e12:g} TB, at most {BUSY:.0%} busy, replicas as in "
        "the environment `cluster` of config.json."
    )
    table = Table("what", "how many", "setting")
    table.add_row("partitions of readings", str(found.partitions), "oda.kafka.partitions")
    for name, number in found.executors.items():
        table.add_row(f"executors of {name}", str(number), f"oda.parallelism.{name}")
    table.add_row("Storm workers, one a machine", str(found.workers), "topology.workers")
    table.add_row("memory of all window and anomaly bolts", f"{found.state / 2**30:,.1f} GiB", "")
    if found.waiting:
        table.add_row("memory of all groups bolts, of members", f"{found.waiting / 2**30:,.1f} GiB", "")
    table.add_row("buckets of series in Cassandra", str(found.buckets), "oda.cassandra.buckets")
    for store in SERVED:
        table.add_row(f"nodes of {store}", str(found.nodes[store]), "")
        table.add_row(f"disk of {store}, all nodes", f"{found.disk[store] / 1e12:,.2f} TB", "")
    console.print(table)
