"""`oda bench flame`: where each Python component spends its time."""

from __future__ import annotations

import typer

from oda.bench import flame
from oda.bench.own import own_stream
from oda.bench.workload import Workload, fill
from oda.cli.bench.shown import console, system_of
from oda.paths import ROOT

FLAMES = ROOT / "docs/flame"


def draw_flame_graphs(ctx: typer.Context) -> None:
    """Flame graphs of the Python components at full rate, to docs/flame/. Needs root, for py-spy.

    Example: oda bench flame
    """
    with own_stream(ctx.obj) as (storm, settings):
        fill(settings, Workload(100, 2_000_000))
        system = system_of(ctx.obj, storm, settings)
        with storm.running(settings.kafka.group):
            files = flame.draw(system, FLAMES)
    for file in files:
        console.print(f"{file}", highlight=False)
