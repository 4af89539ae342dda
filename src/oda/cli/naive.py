"""`oda naive`: the program that ODA is compared with."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.bench.own import own_stream
from oda.chaos.system import System
from oda.cli.context import Context
from oda.cli.servers import local_cluster
from oda.collect.upstream import require_url
from oda.naive.compare import FAULT_SECONDS, Hurt, Rates, hurt, rates
from oda.naive.server import INTERVAL, serve
from oda.naive.watcher import watch
from oda.say import say

_FAST_SECONDS = 10.0

app = typer.Typer(help="The naive program that ODA is compared with (docs/naive.md).", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="naive")


@app.command("serve")
def serve_(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    interval: Annotated[float, typer.Option(min=0, help="Seconds from one number to the next.")] = INTERVAL,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same walk.")] = None,
) -> None:
    """Broadcasts a random walk over Socket.IO, until Ctrl-C: event `walk`, a bare number each 10 ms.

    It rests while nobody is connected. GET / says how many numbers it has sent.

    Example: oda naive serve --port 5000
    """
    sent = asyncio.run(serve(host, port, seed, interval))
    say(f"{sent:,} numbers sent")


@app.command("watch")
def watch_(url: Annotated[str, typer.Argument(help="Of `oda naive serve`, such as http://localhost:5000")]) -> None:
    """Averages of 2 s, and numbers beyond 4 sigma of the one before, from memory, until Ctrl-C.

    Example: oda naive watch http://localhost:5000
    """
    require_url(url)
    asyncio.run(watch(url, lambda one: print(one, flush=True)))


@app.command("compare")
def compare(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option(min=5, help="How long both go on before, between and after.")] = 10.0,
) -> None:
    """Does the same to the naive watcher and to ODA, on the running cluster, and counts what each has lost.

    Both take what one naive server broadcasts; ODA by `oda collect socketio`, with
    a topology, topics and tables of its own. Exit code 1: ODA has lost something.

    Example: oda naive compare
    """
    context: Context = ctx.obj
    console = Console()
    with own_stream(context) as (storm, settings), storm.running(settings.kafka.group):
        system = System(local_cluster(context, console), storm, settings, settings.kafka.group)
        found = hurt(system, storm.config, seconds, lambda text: console.print(text, style="dim", highlight=False))
    console.print("naive servers send as fast as they can", style="dim")
    fast = {watchers: rates(watchers, _FAST_SECONDS) for watchers in (1, 4)}
    console.print(_table(found, fast))
    if found.stored.wrong or found.stored.readings != found.stored.accepted:
        raise typer.Exit(1)


def _table(found: Hurt, fast: dict[int, Rates]) -> Table:
    sent, naive, stored = found
    table = Table("", "naive", "ODA", title=f"{sent:,} numbers, 100 a second")
    table.add_row(
        f"who judges is killed, for {FAULT_SECONDS:.0f} s",
        f"{naive.unseen:,} numbers were seen by nobody, {naive.unjudged:,} more judged by nothing",
        f"{stored.readings:,} of {stored.accepted:,} readings are stored and judged, {stored.wrong} rows are wrong",
    )
    table.add_row(
        f"it lags: is stopped, for {FAULT_SECONDS:.0f} s",
        f"averages of {min(naive.averages):,} to {max(naive.averages):,} numbers",
        f"windows of {min(stored.windows[1:-1]):,} to {max(stored.windows[1:-1]):,} readings",
    )
    table.add_row(
        "what can be read afterwards",
        "nothing",
        f"{stored.readings:,} readings, {len(stored.windows):,} windows, {stored.anomalies:,} anomalies",
    )
    for watchers, one in fast.items():
        table.add_row(
            f"as fast as it goes, {watchers} watching",
            f"{one.sent:,.0f} numbers/s are sent, each watcher sees {one.seen:,.0f}",
            "`oda bench throughput`",
        )
    return table
