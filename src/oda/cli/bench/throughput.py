"""`oda bench throughput`: from a full topic to all stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oda.bench import throughput
from oda.bench.own import own_stream
from oda.bench.workload import Workload, fill
from oda.cli.bench.shown import console
from oda.cli.checked import problems_of, text_of
from oda.cluster.layout import load_layout
from oda.core.rules.parse import parse
from oda.kafka.rules import apply


def measure_throughput(
    ctx: typer.Context,
    readings: Annotated[int, typer.Option(min=1000, help="How many readings the topic holds.")] = 1_000_000,
    series: Annotated[int, typer.Option(min=1, help="Of how many series.")] = 100,
    rules: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A file of rules: once more with them, between two runs without."
        ),
    ] = None,
) -> None:
    """From a full topic to all three stores, beside kafka-python's bare poll() over the same topic.

    Examples:

        oda bench throughput --readings 1000000 --series 100

        oda bench throughput --series 10000 --rules seasonal.yaml
    """
    workload = Workload(series, readings)
    with problems_of(str(rules)):
        text = parse(text_of(rules), ctx.obj.settings()).text if rules else None
    without = _rate(ctx, workload)
    if rules:
        within = _rate(ctx, workload, text)
        again = _rate(ctx, workload)
        mean = throughput.Rate(2 * readings, without.seconds + again.seconds)
        console.print(f"With {rules.name}: {within.per_second / mean.per_second:.2f} of the rate without, of two runs")


def _rate(ctx: typer.Context, workload: Workload, rules: str | None = None) -> throughput.Rate:
    with own_stream(ctx.obj) as (storm, settings):
        if rules:
            apply(settings.kafka, rules)
        fill(settings, workload)
        before = throughput.poll_rate(settings)
        with storm.running(settings.kafka.group):
            whole = throughput.topology_rate(settings, load_layout(ctx.obj.config, ctx.obj.env).logs)
        after = throughput.poll_rate(settings)
    bare = throughput.Rate(before.readings + after.readings, before.seconds + after.seconds)
    console.print(
        f"{workload.readings} readings of {workload.series} series, {'with' if rules else 'no'} rules: "
        f"{whole.per_second:,.0f}/s to all stores, "
        f"bare poll() {bare.per_second:,.0f}/s, ratio {whole.per_second / bare.per_second:.2f}"
    )
    return whole
