"""`oda bench latency` and `rules`: from producing a reading to its anomaly in each store."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from oda.bench import latency
from oda.bench.own import own_stream
from oda.bench.rule_changes import RuleChanges
from oda.cli.bench.shown import console

_RATES = [100, 1_000, 10_000]


def measure_latency(
    ctx: typer.Context,
    rate: Annotated[list[int], typer.Option(min=100, help="Readings a second; may be repeated.")] = _RATES,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to measure Kafka, then the other two; a minute of warm-up is before.")
    ] = 60.0,
) -> None:
    """From producing a reading to its anomaly being readable in each of the three stores.

    Example: oda bench latency --rate 100 --seconds 60
    """
    for number in rate:
        with (
            console.status(f"{number:,} readings a second"),
            own_stream(ctx.obj) as (storm, settings),
        ):
            found = latency.measure(settings, storm, number, seconds)
        console.print(_latency_table(found, number))


def measure_rules(
    ctx: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure, each time.")] = 30.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one change of rules to the next.")] = 2.0,
) -> None:
    """The latency of anomalies while the rules become others, beside that while they stay.

    Example: oda bench rules --rate 10000 --seconds 30
    """
    for changes in (False, True):
        with (
            console.status("rules that change" if changes else "rules that stay"),
            own_stream(ctx.obj) as (storm, settings),
            RuleChanges(settings, every if changes else None) as rules,
        ):
            found = latency.measure(settings, storm, rate, seconds)
        console.print(f"The rules became others {rules.applied} times.")
        console.print(_latency_table(found, rate))


def _latency_table(found: latency.Latencies, rate: int) -> Table:
    names = ("readable in", "anomalies", "p50", "p99", "p99.9", "max")
    table = Table(*names, title=f"Latency at {rate:,} readings a second, ms")
    for store, each in found._asdict().items():
        figures = (f"{figure:.1f}" for figure in (*np.percentile(each, [50, 99, 99.9]), each.max()))
        table.add_row(store, f"{len(each):,}", *figures)
    return table
