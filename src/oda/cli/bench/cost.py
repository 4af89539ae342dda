"""`oda bench cost`: what a reading costs each process and store, by which `oda plan` plans."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oda.bench import cost
from oda.bench.own import own_stream
from oda.bench.workload import Workload
from oda.cli.bench.shown import console, system_of
from oda.cli.plan import COST, load_model
from oda.plan.measured import CostRun
from oda.plan.model import SERVED, Model

_MANY_SERIES = [10, 100, 1_000, 10_000, 100_000]
_LEAST_A_SERIES = 10
"""Readings, so that its state is whole."""


def measure_cost(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = _MANY_SERIES,
    readings: Annotated[
        int,
        typer.Option(
            min=10_000, help=f"How many are measured, at least {_LEAST_A_SERIES} a series; as many go before."
        ),
    ] = 1_000_000,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with what `oda plan` foretells; write no file.")
    ] = False,
) -> None:
    """Readings per CPU second, and memory, of each process as series grow. Writes benchmarks/cost.json.

    Examples:

        oda bench cost

        oda bench cost --check --series 300 --series 3000 --series 30000
    """
    costs = []
    for number in series:
        with own_stream(ctx.obj) as (storm, settings):
            system = system_of(ctx.obj, storm, settings)
            found = cost.measure(system, Workload(number, max(readings, _LEAST_A_SERIES * number)))
        costs.append(found)
        console.print(_cost_table(found))
    if check:
        console.print(_check_table(load_model(), costs))
    else:
        COST.write_bytes(msgspec.json.format(msgspec.json.encode(costs)) + b"\n")


def _check_table(model: Model, costs: list[CostRun]) -> Table:
    """What the model foretells over what was measured."""
    table = Table("series", "CPU, whole system", *(f"disk of {store}" for store in SERVED), "memory of both bolts")
    for found in costs:
        cpu = sum(model.cpu(name, found.density) for name in found.cpu) * found.readings / sum(found.cpu.values())
        disk = [model.disk(store, found.density) * found.readings / found.disk[store] for store in SERVED]
        memory = model.memory(found.series) / found.state_mb / 2**20
        table.add_row(f"{found.series:,}", *(f"{ratio:.2f}" for ratio in (cpu, *disk, memory)))
    return table


def _cost_table(found: CostRun) -> Table:
    title = f"{found.series:,} series: {found.readings / found.seconds:,.0f} readings/s"
    table = Table("process", "readings per CPU second", "of a core", "MiB", title=title)
    for name, cpu in found.cpu.items():
        figures = (f"{found.readings / max(cpu, 0.01):,.0f}", f"{cpu / found.seconds:.2f}", f"{found.memory[name]:.0f}")
        table.add_row(name, *figures)
    for name, size in found.disk.items():
        table.add_row(f"disk of {name}", f"{size / found.readings:.1f} bytes a reading", "", f"{size / 2**20:.0f}")
    return table
