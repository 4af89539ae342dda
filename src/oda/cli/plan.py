"""`oda plan`: how large a cluster must be."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from oda.paths import ROOT
from oda.plan import BUSY, MACHINE_CORES, MACHINE_DISK, SERVED, CostRun, Demand, Model, Plan, ScaleRun

COST = ROOT / "benchmarks/cost.json"
"""Written by `oda bench cost`."""

SCALING = ROOT / "benchmarks/scaling.json"
"""Written by `oda bench workers --quota`."""


def register(app: typer.Typer) -> None:
    app.command()(plan)


def plan(
    series: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many series.")],
    rate: Annotated[float, typer.Option(min=1, help="Readings a second, over all series.")],
    retention: Annotated[float, typer.Option(min=0.01, help="Days that everything is kept.")],
) -> None:
    """Partitions, executors, machines and disk for a load, from what `oda bench cost` and `workers` measured.

    docs/capacity.md tells the model and how near it comes.

    Example: [bold]oda plan --series 100000 --rate 50000 --retention 30[/bold]
    """
    _show(load_model().plan(Demand(series, rate, retention)), Console())


def load_model() -> Model:
    """Fitted to benchmarks/cost.json and, if workers have been measured, scaling.json."""
    costs = msgspec.json.decode(COST.read_bytes(), type=list[CostRun])
    scaling = SCALING.read_bytes() if SCALING.exists() else b"[]"
    return Model(costs, msgspec.json.decode(scaling, type=list[ScaleRun]))


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
    table.add_row("memory of all window bolts", f"{found.state / 2**30:,.1f} GiB", "")
    table.add_row("buckets of series in Cassandra", str(found.buckets), "oda.cassandra.buckets")
    for store in SERVED:
        table.add_row(f"nodes of {store}", str(found.nodes[store]), "")
        table.add_row(f"disk of {store}, all nodes", f"{found.disk[store] / 1e12:,.2f} TB", "")
    console.print(table)
