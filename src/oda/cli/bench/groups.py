"""`oda bench groups`, without servers, and `group-latency`, `group-throughput`: what windows of many series cost."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.table import Table

from oda.bench import group_latency, group_throughput, groups
from oda.bench.group_throughput import Way
from oda.bench.load import SERIES
from oda.bench.own import own_stream
from oda.bench.workload import Workload
from oda.cli.bench.shown import console, tell
from oda.cli.context import Context
from oda.cli.plan import GROUPS
from oda.errors import UserError


def measure_groups(
    ctx: typer.Context,
    series: Annotated[int, typer.Option(min=1, help="Of how many.")] = 100_000,
    group: Annotated[list[int], typer.Option(min=1, help="How many groups; may be repeated.")] = [1_000, 1],  # noqa: B006 - typer's way
    windows: Annotated[int, typer.Option(min=1, help="Of each series.")] = 10,
) -> None:
    """What groups cost: CPU for a member's window, and room for those that wait for their group's to close.

    In one process, without Kafka and Storm, but with what is written into them and read. Windows of 10 s, a lateness
    of 10 s: so two of each member wait at once. Writes benchmarks/groups.json, which `oda plan` reads.

    Example: oda bench groups --series 10000 --group 100 --group 1
    """
    context: Context = ctx.obj
    cpu = Table("groups", "µs to tell", "to read", "to merge", "longest batch, ms", "bytes in the log")
    cpu.title = f"{series:,} series, each in one group: CPU for a member's window"
    room = Table("groups", "at most", "bytes of each", "in a snapshot", "µs to save", title="Those that wait")
    runs = [groups.measure(context.settings(), series, number, windows) for number in group]
    for run in runs:
        each = (f"{figure:.2f}" for figure in (run.told, run.read, run.merged))
        cpu.add_row(f"{run.groups:,}", *each, f"{run.longest:.0f}", f"{run.logged:.0f}")
        bytes_ = (f"{figure:.0f}" for figure in (run.memory, run.state))
        room.add_row(f"{run.groups:,}", f"{run.waiting:,}", *bytes_, f"{run.saved:.2f}")
    console.print(cpu, room)
    GROUPS.write_bytes(msgspec.json.format(msgspec.json.encode(runs)) + b"\n")


def measure_group_latency(
    ctx: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help=f"Readings a second, of {SERIES} series.")] = 1_000,
    groups: Annotated[int, typer.Option(min=1, max=SERIES, help="How many.")] = 10,
    seconds: Annotated[float, typer.Option(min=10, help="How long to measure; a minute of warm-up is before.")] = 60.0,
    lateness: Annotated[
        int | None, typer.Option(min=0, help="Of the groups, ms; default as of rules that say nothing of it.")
    ] = None,
) -> None:
    """How long a group's window takes beside those of its members, and by how much it comes behind them.

    Example: oda bench group-latency --lateness 1000
    """
    require_equal(SERIES, groups)
    with console.status(f"{rate:,} readings a second"), own_stream(ctx.obj) as (storm, settings):
        found = group_latency.measure(settings, storm, rate, groups, seconds, lateness)
    title = f"{groups} groups of {SERIES // groups} series, {rate:,} readings a second, ms"
    table = Table("", "groups' windows", "p50", "p99", "max", title=title)
    late = found.definition.lateness
    for name, each in (
        ("a member's window, from the reading that ends it to its row", found.members),
        ("the group's, from the readings that end it to its reading", found.group),
        (f"the group's reading behind the last member's row (lateness {late:,})", found.behind),
        ("the same without the lateness", found.beyond),
    ):
        figures = (f"{figure:,.0f}" for figure in (*np.percentile(each, [50, 99]), each.max()))
        table.add_row(name, f"{len(each):,}", *figures)
    console.print(table)


def measure_group_throughput(
    ctx: typer.Context,
    readings: Annotated[int, typer.Option(min=10_000, help="How many a topic holds.")] = 2_000_000,
    series: Annotated[int, typer.Option(min=1, help="Of how many series.")] = 10_000,
    groups: Annotated[int, typer.Option(min=1, help="In how many groups.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
) -> None:
    """From a full topic to all stores, with groups, without any, and without what could merge them.

    Example: oda bench group-throughput --rounds 5
    """
    require_equal(series, groups)
    workload = Workload(series, readings, groups=groups)
    with console.status("") as status:
        found = group_throughput.measure(ctx.obj, workload, rounds, lambda what: tell(status, what))
    table = Table("", "readings/s", "ratio (least to most)", "until readings are committed", "ratio")
    table.title = f"{workload}, {readings:,} readings, {rounds} rounds"
    for way, rates in found.items():
        both = zip(rates, found[Way.WITHOUT], strict=True)
        whole, part = zip(*((one.all / other.all, one.readings / other.readings) for one, other in both), strict=True)
        figures = f"{median(one.all for one in rates):,.0f}", _spread(whole)
        table.add_row(way.value, *figures, f"{median(one.readings for one in rates):,.0f}", _spread(part))
    console.print(table)


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def require_equal(series: int, groups: int) -> None:
    """Raises UserError if groups could not have as many members each."""
    if series % groups:
        raise UserError(f"{series:,} series can't be dealt to {groups:,} groups of one size: choose other numbers")
