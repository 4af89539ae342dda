"""`oda up`, `down` and `status`: the local cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster, Status
from oda.cluster.server import Server
from oda.cluster.software import Software, install
from oda.errors import UserError


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

    started = start(cluster, console)
    if started:
        tell_where(cluster, console)
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
    show(local_cluster(ctx.obj, console), console)


def local_cluster(context: Context, console: Console) -> LocalCluster:
    """The local cluster of a config.json; fetches the servers if they are not here yet.

    Raises:
        UserError: it is on several machines.
    """
    layout = load_layout(context.config, context.env)
    if layout.is_shared:
        raise UserError(f"the servers of environment {context.env} are on several machines: see `oda machines --help`")
    return LocalCluster(layout, fetch(console))


def start(cluster: LocalCluster, console: Console) -> list[Server]:
    """Start what does not run, and tell of each; returns those."""
    with console.status("Starting the servers; Ctrl-C stops them again"):
        return cluster.up(telling(console))


def telling(console: Console) -> Callable[[Server, float], None]:
    """What tells of a server that it serves, and after how many seconds."""

    def ready(server: Server, seconds: float) -> None:
        where = f"{server.machine.name:<3} " if server.layout.is_shared else ""
        console.print(f"  {server.name:<16}{where}port {server.ports[0]:<6} serves after {seconds:.0f} s")

    return ready


def tell_where(cluster: LocalCluster, console: Console) -> None:
    """What a user needs next."""
    scheme = "https" if cluster.layout.certificates else "http"
    ui = cluster.layout.places["ui"][0].at("ui")
    console.print(f"The cluster is up. Storm UI: {scheme}://{ui}, logs: ", end="")
    console.print(str(cluster.layout.logs), soft_wrap=True, markup=False)


def show(cluster: LocalCluster, console: Console) -> None:
    """Every server; raises typer.Exit when one is not well."""
    rows = sorted(cluster.status(), key=lambda row: cluster.layout.machines.index(row.server.machine))
    console.print(_table(rows, cluster.layout.is_shared))
    if any(row.problem for row in rows):
        raise typer.Exit(1)


def fetch(console: Console) -> Software:
    """The servers, from the registry if they are not here yet."""
    # Clients log each failed attempt to reach a server that is still starting.
    logging.disable(logging.CRITICAL)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Fetching the servers", total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        return install(show)


def _table(rows: list[Status], of_machines: bool) -> Table:
    table = Table("server", "pid", "port", "memory, MB", "health", show_footer=True)
    for name in ("pid", "port", "memory, MB"):
        next(column for column in table.columns if column.header == name).justify = "right"
    machine, total = "", 0
    for row in rows:
        if of_machines and row.server.machine.name != machine:
            machine = row.server.machine.name
            of = sum(each.rss_mb for each in rows if each.server.machine == row.server.machine)
            table.add_section()
            table.add_row(f"[bold]{machine}[/bold]", "", "", str(of), row.server.machine.address)
        health = f"[red]{row.problem}[/red]" if row.problem else "[green]serves[/green]"
        pid = "" if row.pid is None else str(row.pid)
        table.add_row(row.server.name, pid, str(row.server.ports[0]), str(row.rss_mb), health)
        total += row.rss_mb
    table.columns[0].footer = "total"
    table.columns[3].footer = str(total)
    return table
