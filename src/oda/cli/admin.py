"""`oda admin`: what an administrator makes, so that whoever runs ODA needs no right to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from oda.admin import make, printed
from oda.admin.accounts import Account
from oda.admin.rights import ROLES
from oda.cli.context import Context
from oda.errors import UserError
from oda.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(admin)


def admin(
    ctx: typer.Context,
    user: Annotated[
        list[str] | None, typer.Option("--user", help="ROLE=NAME: give the role's rights to this account; repeatable.")
    ] = None,
    passwords: Annotated[
        Path | None, typer.Option(help="A folder with a file NAME for each: make accounts, or set their passwords.")
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="Do nothing; print what is to be run instead.")] = False,
) -> None:
    """Makes topics, tables and templates, and gives accounts the rights of their roles.

    Run it as an administrator of the servers: in an environment of config.json with such accounts (--env).
    The roles are topology, collector, reader and auditor: docs/security.md. It may be repeated, and takes nothing away.

    Examples:

        oda --env admin admin

        oda --env admin admin --user topology=oda-topology --user collector=oda-collector --passwords /etc/oda/passwords

        oda admin --user reader=oda-reader --print
    """
    context: Context = ctx.obj
    settings, accounts = context.settings(), _accounts(user or [], passwords)
    if print_:
        for title, part in (("Kafka", printed.kafka), ("CQL", printed.cassandra), ("Elastic", printed.elasticsearch)):
            print(f"# {title}", *part(settings, accounts), "", sep="\n")
        print("# Elasticsearch without an API of roles: roles.yml of each node", printed.roles_yml(settings), sep="\n")
        return
    _make(settings, accounts)


def _accounts(texts: list[str], passwords: Path | None) -> Sequence[Account]:
    accounts = []
    for text in texts:
        role, _, name = text.partition("=")
        if role not in ROLES or not name:
            raise UserError(f"--user {text}: must be ROLE=NAME, with a role of {', '.join(ROLES)}")
        accounts.append(Account(role, name, passwords / name if passwords else None))
    if passwords and not accounts:
        raise UserError("--passwords needs --user ROLE=NAME")
    return accounts


def _make(settings: Settings, accounts: Sequence[Account]) -> None:
    make.in_kafka(settings, accounts)
    print("Kafka: done")
    make.in_cassandra(settings, accounts)
    print("Cassandra: done")
    if problem := make.in_elasticsearch(settings, accounts):
        print(f"Elasticsearch: templates done, but no roles and users ({problem}).")
        print("Without that API they are in files of each node: `oda admin --print` has roles.yml, and")
        print("`elasticsearch-users useradd NAME -r ROLE` makes a user.")
        raise typer.Exit(1)
    print("Elasticsearch: done")
