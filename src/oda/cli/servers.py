"""`oda up`, `down` and `status`: the local cluster."""

from __future__ import annotations

import logging

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster, Status
from oda.cluster.server import Server
from oda.cluster.software import Software, install


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(ctx: typer.Context) -> None:
    """Start the local cluster: ZooKeeper, Kafka, Cassandra, Elasticsearch and Storm.

    Starts what is not running, and returns when everything serves. The servers live on when
    the terminal is closed; `oda down` ends them. The first time, 440 MB are fetched.

    Examples:

        oda up

        oda --config second.json up      (another data folder, other ports)
    """
    console = Console()
    cluster = local_cluster(ctx.obj, console)

    def ready(server: Server, seconds: float) -> None:
        console.print(f"  {server.name:<14} port {server.ports[0]:<6} serves after {seconds:.0f} s")

    with console.status("Starting the servers; Ctrl-C stops them again"):
        started = cluster.up(ready)
    if started:
        scheme = "https" if cluster.layout.certificates else "http"
        console.print(f"The cluster is up. Storm UI: {scheme}://127.0.0.1:{cluster.layout.ports['ui']}, logs: ", end="")
        console.print(str(cluster.layout.logs), soft_wrap=True, markup=False)
    else:
        console.print("The cluster was up already.")


def down(ctx: typer.Context) -> None:
    """End what `oda up` started, and the topologies' workers. The data stays.

    Example:

        oda down
    """
    console = Console()
    with console.status("Ending the servers"):
        ended = local_cluster(ctx.obj, console).down()
    console.print(f"The cluster is down: {ended} processes ended." if ended else "The cluster was down already.")


def status(ctx: typer.Context) -> None:
    """Show each server: pid, port, memory, health. Exit code 1 unless all are healthy.

    Example:

        oda status
    """
    console = Console()
    rows = local_cluster(ctx.obj, console).status()
    console.print(_table(rows))
    if any(row.problem for row in rows):
        raise typer.Exit(1)


def local_cluster(context: Context, console: Console) -> LocalCluster:
    """The local cluster of a config.json; fetches the servers if they are not here yet."""
    # Clients log each failed attempt to reach a server that is still starting.
    logging.disable(logging.CRITICAL)
    layout = load_layout(context.config, context.env)
    return LocalCluster(layout, _install(console))


def _install(console: Console) -> Software:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Fetching the servers", total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        return install(show)


def _table(rows: list[Status]) -> Table:
    table = Table("server", "pid", "port", "memory, MB", "health", show_footer=True)
    for name in ("pid", "port", "memory, MB"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for row in rows:
        health = f"[red]{row.problem}[/red]" if row.problem else "[green]serves[/green]"
        pid = "" if row.pid is None else str(row.pid)
        table.add_row(row.server.name, pid, str(row.server.ports[0]), str(row.rss_mb), health)
    table.columns[0].footer = "total"
    table.columns[3].footer = str(sum(row.rss_mb for row in rows))
    return table
