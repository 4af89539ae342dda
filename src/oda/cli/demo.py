"""`oda demo`: the main job, from nothing: servers, topology, a random walk, and what is found in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from oda.cli import servers, watch
from oda.cli.context import Context
from oda.kafka.topics import create_topics
from oda.paths import BIN
from oda.storm.topologies import TOPOLOGY, Storm


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    ctx: typer.Context,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after this time; else at Ctrl-C.")] = None,
) -> None:
    """Start the cluster and the topology if they are not running, and watch a random walk with a few spikes.

    Both go on running afterwards; `oda down` ends them.

    Examples:

        oda demo

        oda demo --seconds 60
    """
    context: Context = ctx.obj
    console = Console(stderr=True)
    servers.up(ctx)
    settings = context.settings()
    create_topics(settings.kafka)
    storm = Storm(context.config, context.env)
    if storm.api.topology_id(TOPOLOGY) is None:
        with console.status("submitting the topology"):
            storm.submit(TOPOLOGY)
    console.print(f"Storm UI: {storm.api.ui}   Ctrl-C stops the walk; `oda down` ends the cluster.")
    with _walk(context), console.status("waiting for the topology's first windows"):
        watch.follow(settings, seconds)


@contextmanager
def _walk(context: Context) -> Iterator[None]:
    """A collector of its own, as it would be in earnest."""
    options = ["--config", str(context.config), "--env", context.env]
    walk = ["collect", "walk", "--series", "3", "--rate", "100", "--spikes", "500"]
    collector = subprocess.Popen(
        [BIN / "oda", *options, *walk], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        collector.terminate()
        collector.wait(timeout=30)
