"""`oda compose`: what docker-compose.secured.yml needs before its servers start, and when they serve."""

from __future__ import annotations

import typer

from oda.cluster import compose
from oda.cluster.accounts import ADMIN, environments
from oda.cluster.cassandra import CassandraNode
from oda.cluster.layout import load_layout
from oda.cluster.machines import ENVIRONMENT, administer, prepare

app = typer.Typer(help="Run by docker-compose.secured.yml, in containers.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="compose")


@app.command()
def configure(ctx: typer.Context) -> None:
    """Write certificates, passwords and the servers' configuration to /oda; what is there of the first two stays.

    Example:

        docker compose -f docker-compose.secured.yml run --rm configure
    """
    compose.DATA.mkdir(exist_ok=True)
    layout = prepare(compose.write_config(ctx.obj.config, ENVIRONMENT, compose.DATA))
    compose.configure(layout)
    print(f"Certificates and passwords are in {layout.certificates}, and each server's configuration beside it.")


@app.command("administer")
def administer_servers(ctx: typer.Context) -> None:
    """Make the administrator of a new Cassandra, topics, tables, templates, accounts and their rights.

    Example:

        docker compose -f docker-compose.secured.yml run --rm administer
    """
    layout = load_layout(ctx.obj.config, ADMIN)
    CassandraNode(layout, compose.SOFTWARE).probe()
    administer(layout)
    print(f"Done. The environments of {environments(layout)} have an account each.")
