"""`oda machines`: the cluster on several machines, which are network namespaces of this one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oda.cli import servers
from oda.cli.context import Context
from oda.cluster.accounts import environments
from oda.cluster.layout import Layout
from oda.cluster.local import LocalCluster
from oda.cluster.machines import administer, as_administrator, described, prepare
from oda.cluster.network import Network, check_root
from oda.storm.sparse import jar

app = typer.Typer(
    help="The cluster on several machines, three of each server: network namespaces of this one. As root.",
    no_args_is_help=True,
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="machines")


@app.command()
def up(ctx: typer.Context) -> None:
    """Make the machines, and start on them what is not running; with accounts, rights, topics, tables and templates.

    They are what environment `machines` of config.json lists, and those that have joined since (`oda machines add`):
    m1, m2 and m3 have a broker, a Cassandra, an Elasticsearch, a ZooKeeper and a supervisor each, m4 has nimbus and
    Storm's UI, and is where people are. Each connection is encrypted and authenticated. Certificates and passwords are
    made in the folder `servers.certificates` the first time. Takes 8 GB of memory, and some minutes. All lives on until
    `oda machines down`.

    Example:

        oda machines up
    """
    console = Console()
    check_root()
    layout = prepare(ctx.obj.config)
    network, software = Network(layout), servers.fetch(console)
    with console.status("Building the topology's jar, since the machines reach no registry"):
        jar()
    were_up = network.is_up
    try:
        network.up()
        network.enter(network.people)
        cluster = LocalCluster(layout, software)
        started = servers.start(cluster, console)
        try:
            with console.status("Making topics, tables, templates, accounts and their rights"):
                administer(layout)
        except BaseException:
            cluster.down([server.name for server in started])
            raise
    except BaseException:
        if not were_up:
            network.down()
        raise
    servers.tell_where(cluster, console)
    console.print("Next: oda machines run -- sparse submit -e machines")


@app.command()
def down(ctx: typer.Context) -> None:
    """End everything on the machines, and remove them. Data, certificates and passwords stay.

    Example:

        oda machines down
    """
    console = Console()
    check_root()
    layout = described(ctx.obj.config)
    network = Network(layout)
    with console.status("Ending the servers"):
        ended = LocalCluster(layout, servers.fetch(console)).down()
        if network.is_up:
            ended += sum(map(network.kill, network.machines))
        network.down()
    console.print(f"The machines are down: {ended} processes ended.")


@app.command()
def status(ctx: typer.Context) -> None:
    """Show each server by machine: pid, port, memory, health. Exit code 1 unless all are healthy.

    Example:

        oda machines status
    """
    console = Console()
    servers.show(entered(ctx.obj, console), console)


_Name = Annotated[str, typer.Argument(help="The machine's, such as m5.", show_default=False)]


@app.command()
def add(ctx: typer.Context, name: _Name) -> None:
    """Let a machine join, with a broker, a Cassandra, an Elasticsearch and a supervisor, and give it its share.

    ZooKeeper and Kafka's controllers stay three. Kafka's replicas and the rows of Cassandra are moved while everything
    works, and each topology is dealt out anew, with a worker a supervisor. It takes 2.5 GB of memory, and some minutes;
    what was ended in the midst goes on when it is repeated.

    Example:

        oda machines add m5
    """
    from oda.cluster import joining  # whose clients cost each command time

    console = Console()
    cluster = entered(ctx.obj, console)
    with console.status(f"Machine {name} joins"):
        joining.add(cluster, name, servers.telling(console))
    console.print(f"Machine {name} has joined, and has its share. New topologies have a worker on it, too.")


@app.command()
def remove(ctx: typer.Context, name: _Name) -> None:
    """Let the machine that joined last hand back its share, and remove it, with its data.

    Example:

        oda machines remove m5
    """
    from oda.cluster import joining  # whose clients cost each command time

    console = Console()
    cluster = entered(ctx.obj, console)
    with console.status(f"Machine {name} hands back its share"):
        joining.remove(cluster, name, servers.telling(console))
    console.print(f"Machine {name} is gone; the others have what it had.")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    ctx: typer.Context,
    command: Annotated[list[str], typer.Argument(help="What to run.", metavar="-- COMMAND...", show_default=False)],
) -> None:
    """Run a command on the machine where people are.

    ODA_CONFIG names a config.json there with an environment for each account: `machines`, as in your own (the
    topology's), `admin`, `collector`, `reader` and `auditor`.

    Examples:

        oda machines run -- sparse submit -e machines

        oda machines run -- oda --env collector collect walk --rate 100

        oda machines run -- oda --env reader watch

        oda machines run -- oda --env auditor verify --wait 60
    """
    layout, network = _entered(ctx.obj.config)
    line = network.inside(network.people, command)
    os.execvpe(line[0], line, os.environ | {"ODA_CONFIG": str(environments(layout))})


def entered(context: Context, console: Console) -> LocalCluster:
    """The cluster, as an administrator; from now on this process is on the machine where people are.

    Raises:
        UserError: the machines are not up, or this is not root.
    """
    check_root()
    software = servers.fetch(console)  # while this process still reaches the registry
    layout, _ = _entered(context.config)
    return LocalCluster(as_administrator(layout), software)


def _entered(config: Path) -> tuple[Layout, Network]:
    check_root()
    layout = described(config)
    network = Network(layout)
    network.enter(network.people)
    return layout, network
