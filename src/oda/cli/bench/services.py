"""`oda bench serve` and `notify`: what these services cost, and how soon people know. They need no topology."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from oda.bench import notifying, serving
from oda.bench.own import own_context
from oda.cli.bench.shown import console, tell


def measure_serve(
    ctx: typer.Context,
    series: Annotated[int, typer.Option(min=100, help="Series that it knows.")] = 100_000,
    viewers: Annotated[int, typer.Option(min=1, max=1_000, help="Pages that are open; each watches 5 series.")] = 200,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second, of 100 series.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 30.0,
) -> None:
    """What `oda serve` costs, and how soon its viewers see what is new; needs no topology.

    Example: oda bench serve --viewers 200 --rate 10000
    """
    with console.status("") as status, own_context(ctx.obj) as own:
        asked = serving.Asked(series, viewers, rate, seconds)
        found = serving.measure(own.config, own.env, asked, lambda what: tell(status, what))
    table = Table("", "p50", "p99", "max", title=f"{viewers} viewers, {rate:,} readings a second, ms")
    for name, each in (("reading produced to seen", found.readings), ("anomaly written to seen", found.anomalies)):
        table.add_row(name, *(f"{figure:.0f}" for figure in (*np.percentile(each, [50, 99]), each.max())))
    console.print(table)
    console.print(
        f"{found.messages / seconds:,.0f} messages a second to viewers, {found.gaps} gaps; {found.cpu:.2f} cores; "
        f"{found.mib:.0f} MiB, {found.idle_mib:.0f} before they came. Ready {found.ready:.1f} s after its start, "
        f"with {series:,} series; the first answer of /api/series took {1000 * found.first:.0f} ms, others "
        f"{1000 * found.again:.0f} ms.",
        highlight=False,
        soft_wrap=True,
    )


def measure_notify(
    ctx: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 10_000,
    incidents: Annotated[int, typer.Option(min=1, help="Incidents a second that open, in the second part.")] = 20,
    before: Annotated[int, typer.Option(min=0, help="Changes of incidents that the topic has before.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure, each of two parts.")] = 30.0,
) -> None:
    """What `oda notify` costs, and how soon a webhook is told; needs no topology.

    Example: oda bench notify --rate 10000
    """
    with console.status("") as status, own_context(ctx.obj) as own:
        asked = notifying.Asked(rate, incidents, before, seconds)
        found = notifying.measure(own.config, own.env, asked, lambda what: tell(status, what))
    p50, p99 = np.percentile(found.latency, [50, 99])
    console.print(
        f"{rate:,} readings a second: {100 * found.idle:.1f} % of a core; with {incidents} incidents a second besides "
        f"{100 * found.busy:.1f} %. From writing an incident to the webhook's having it, in ms as p50 / p99 / max: "
        f"{p50:.0f} / {p99:.0f} / {found.latency.max():.0f}. {found.mib:.0f} MiB. "
        f"The first notification {found.ready:.1f} s after its start, with {before:,} changes in the topic.",
        highlight=False,
        soft_wrap=True,
    )
