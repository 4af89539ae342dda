"""`oda bench soak`: memory under a steady load, for long."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from oda.bench import soak, throughput
from oda.bench.own import own_stream
from oda.cli.bench.memory import memory_table
from oda.cli.bench.shown import console, system_of, tell


def measure_soak(
    ctx: typer.Context,
    minutes: Annotated[float, typer.Option(min=1, help="For how long, after two minutes of warm-up.")] = 30.0,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 20_000,
) -> None:
    """A steady load for long: memory of each process, and how far behind the stores are.

    Example: oda bench soak --minutes 30 --rate 20000
    """
    with (
        console.status("warming up") as status,
        own_stream(ctx.obj) as (storm, settings),
        storm.running(settings.kafka.group),
    ):
        system = system_of(ctx.obj, storm, settings)
        samples, began = soak.measure(system, rate, minutes * 60, lambda what: tell(status, what))
        throughput.wait_for_commits(settings)
    during = [sample for sample in samples if sample.at >= began]
    console.print(memory_table(samples, began, during))
    produced = (during[-1].end - during[0].end) / (during[-1].at - during[0].at)
    behind = [sample.behind for sample in during]
    console.print(
        f"{produced:,.0f} readings/s for {minutes:g} minutes; behind: {np.median(behind):,.0f} in the middle, "
        f"{max(behind):,} at most; all were committed in the end."
    )
