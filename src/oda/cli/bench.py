"""`oda bench`: throughput and latency of the whole system on the running cluster."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from oda.bench import latency, throughput
from oda.bench.own import own_stream

app = typer.Typer(help="Measure the system on the running cluster; start it with `oda up`.", no_args_is_help=True)

console = Console()


@app.command("latency")
def measure_latency(
    ctx: typer.Context,
    rate: Annotated[float, typer.Option(min=1, help="Readings a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 60.0,
    series: Annotated[int, typer.Option(min=1, help="How many series take turns.")] = 10,
) -> None:
    """From producing a reading to its anomaly being readable in the results topic.

    Example: oda bench latency --rate 100 --seconds 60
    """
    with own_stream(ctx.obj) as (storm, settings), storm.running(settings.kafka.group):
        found = latency.measure(settings, rate, seconds, series)
    p50, p99, p999 = np.percentile(found, [50, 99, 99.9])
    console.print(
        f"{len(found)} readings at {rate:g}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, "
        f"max {found.max():.1f} ms"
    )


@app.command("throughput")
def measure_throughput(
    ctx: typer.Context,
    readings: Annotated[int, typer.Option(min=1000, help="How many readings the topic holds.")] = 1_000_000,
    series: Annotated[int, typer.Option(min=1, help="Of how many series.")] = 100,
) -> None:
    """From a full topic to all three stores, beside kafka-python's bare poll() over the same topic.

    Example: oda bench throughput --readings 1000000 --series 100
    """
    with own_stream(ctx.obj) as (storm, settings):
        throughput.fill(settings, readings, series)
        before = throughput.poll_rate(settings)
        with storm.running(settings.kafka.group):
            whole = throughput.topology_rate(settings)
        after = throughput.poll_rate(settings)
    bare = throughput.Rate(before.readings + after.readings, before.seconds + after.seconds)
    console.print(
        f"{readings} readings of {series} series: {whole.per_second:,.0f}/s to all stores, "
        f"bare poll() {bare.per_second:,.0f}/s, ratio {whole.per_second / bare.per_second:.2f}"
    )
