"""`oda bench workers`: what several workers cost, and bring."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oda.bench import workers
from oda.bench.own import own_stream
from oda.bench.workload import Workload, fill
from oda.cli.bench.shown import SERIES, console, tell
from oda.cli.context import Context
from oda.cli.plan import SCALING
from oda.cli.servers import local_cluster
from oda.plan.measured import ScaleRun


def measure_workers(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = SERIES,
    readings: Annotated[int, typer.Option(min=10_000, help="How many readings a topic holds.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
    quota: Annotated[
        float | None, typer.Option(min=0.05, help="Cores of a worker: what one, two and three of them bring.")
    ] = None,
) -> None:
    """What the way from one worker to another costs: a full topic to all stores, with one worker and with two.

    With one executor of each component two workers split a partition's way; with two of each it stays in one.

    With --quota, as root: what one, two and three workers of so many cores do, without the stores, so that this
    machine's cores are not what is short. Each has so many readings to do. Writes benchmarks/scaling.json.

    Examples:

        oda bench workers --series 100 --rounds 3

        oda bench workers --quota 0.25 --series 1000 --readings 200000 --rounds 1
    """
    if quota is not None:
        workloads = [Workload(number, readings) for number in series]
        _measure_scaling(ctx.obj, workloads * rounds, quota)
        return
    table = Table("series", "executors of each", "1 worker", "2 workers", "ratio (least to most)", title="Readings/s")
    for number in series:
        with own_stream(ctx.obj) as (_, filled), console.status(f"{number:,} series") as status:
            fill(filled, Workload(number, readings))
            found = workers.measure(ctx.obj, filled.kafka.readings, rounds, lambda what: tell(status, what))
        for executors, (one, two) in found.items():
            ratios = sorted(b / a for a, b in zip(one, two, strict=True))
            rates = (f"{median(rates):,.0f}" for rates in (one, two))
            ratio = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            table.add_row(f"{number:,}", str(executors), *rates, ratio)
    console.print(table)


def _measure_scaling(context: Context, workloads: list[Workload], quota: float) -> None:
    cluster, found = local_cluster(context, console), list[ScaleRun]()
    columns = ("series", "workers", "readings/s", "of one worker's", "of its cores used", "CPU, us a reading")
    table = Table(*columns, title=f"Workers of {quota:g} cores")
    with console.status("") as status:
        for workload in workloads:
            runs = list[ScaleRun]()
            for run in workers.scale(context, cluster, workload, quota):
                runs.append(run)
                tell(status, f"{workload.series:,} series, {run.workers} workers: {run.per_second:,.0f} readings/s")
                ratio, cpu = run.per_second / runs[0].per_second, 1e6 * run.cpu / run.readings
                figures = (f"{run.per_second:,.0f}", f"{ratio:.2f}", f"{run.used:.0%}", f"{cpu:.1f}")
                table.add_row(f"{run.series:,}", str(run.workers), *figures)
            found += runs
    console.print(table)
    SCALING.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
