"""`oda bench groups`: what it costs to merge windows of many series. It needs no servers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.bench import groups
from oda.cli.context import Context


def measure_groups(
    ctx: typer.Context,
    series: Annotated[int, typer.Option(min=1, help="Of how many.")] = 100_000,
    group: Annotated[list[int], typer.Option(min=1, help="How many groups; may be repeated.")] = [1_000, 1],  # noqa: B006 - typer's way
    windows: Annotated[int, typer.Option(min=1, help="Of each series.")] = 10,
) -> None:
    """What groups cost: CPU for a member's window, and room for those that wait for their group's to close.

    In one process, without Kafka and Storm, but with what is written into them and read. Windows of 10 s, a lateness
    of 10 s: so two of each member wait at once.

    Example: oda bench groups --series 10000 --group 100 --group 1
    """
    context: Context = ctx.obj
    table = Table("groups", "µs to tell", "µs to merge", "longest batch, ms", "waiting", "bytes each", "in a snapshot")
    table.title = f"{series:,} series, each in one group: CPU for a member's window, room for one that waits"
    for number in group:
        found = groups.measure(context.settings(), series, number, windows)
        costs = (f"{found.told:.2f}", f"{found.merged:.2f}", f"{found.longest:.0f}")
        room = (f"{bytes_ / found.waiting:.0f}" for bytes_ in (found.memory, found.state))
        table.add_row(f"{number:,}", *costs, f"{found.waiting:,}", *room)
    Console().print(table)
