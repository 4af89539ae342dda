"""`oda bench throughput`: from a full topic to all stores."""

from __future__ import annotations

from typing import Annotated

import typer

from oda.bench import throughput
from oda.bench.own import own_stream
from oda.bench.workload import Workload, fill
from oda.cli.bench.shown import console
from oda.cluster.layout import load_layout


def measure_throughput(
    ctx: typer.Context,
    readings: Annotated[int, typer.Option(min=1000, help="How many readings the topic holds.")] = 1_000_000,
    series: Annotated[int, typer.Option(min=1, help="Of how many series.")] = 100,
) -> None:
    """From a full topic to all three stores, beside kafka-python's bare poll() over the same topic.

    Example: oda bench throughput --readings 1000000 --series 100
    """
    with own_stream(ctx.obj) as (storm, settings):
        fill(settings, Workload(series, readings))
        before = throughput.poll_rate(settings)
        with storm.running(settings.kafka.group):
            whole = throughput.topology_rate(settings, load_layout(ctx.obj.config, ctx.obj.env).logs)
        after = throughput.poll_rate(settings)
    bare = throughput.Rate(before.readings + after.readings, before.seconds + after.seconds)
    console.print(
        f"{readings} readings of {series} series: {whole.per_second:,.0f}/s to all stores, "
        f"bare poll() {bare.per_second:,.0f}/s, ratio {whole.per_second / bare.per_second:.2f}"
    )
