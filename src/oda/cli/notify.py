"""`oda notify`: incidents to whoever is to know of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.cli.checked import problems_of, text_of
from oda.cli.context import Context
from oda.notify import run as service
from oda.notify.file import File, schema
from oda.notify.parse import parse
from oda.notify.refusals import topic
from oda.notify.status import Status, status
from oda.settings import Settings
from oda.shown import plain, time_text

app = typer.Typer(help="Incidents to webhooks, to Alertmanager, by mail (docs/notify.md).", no_args_is_help=True)

Name = Annotated[Path, typer.Argument(help="A file of receivers and routes.", show_default=False)]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="notify")


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A file of receivers and routes.", show_default=False)] = None,
    schema_: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of such a file instead.")] = False,
) -> None:
    """Checks a file; it needs no server, and asks no receiver.

    What is wrong is printed as FILE:LINE:COLUMN. Secrets are not looked for: they
    may be on another machine.

    Exit code 1: something is wrong.

    Examples:

        oda notify check notify.yaml

        oda notify check --schema > notify.schema.json
    """
    if schema_:
        print(json.dumps(schema(), indent=2))
        return
    if file is None:
        raise typer.BadParameter("which file? oda notify check FILE")
    found = _parsed(file)
    print(f"{file}: {len(found.receivers)} receivers, {len(found.routes)} routes, nothing is wrong")


@app.command()
def run(ctx: typer.Context, file: Name) -> None:
    """Tells receivers of incidents as they open, escalate and are resolved, until Ctrl-C.

    Also that ODA itself stands still. What a receiver was told is committed to Kafka,
    so it goes on where it was whatever happens to it; a receiver that is new begins
    with what comes. What it says about receivers is on stderr.

    Example: [bold]oda notify run notify.yaml[/bold]
    """
    found = _parsed(file)
    for secret in found.secrets:
        secret.read()
    service.run(_settings(ctx), found)


@app.command("status")
def status_(ctx: typer.Context, file: Name) -> None:
    """Shows how far each receiver is, whether it takes anything, and what it has refused.

    Exit code 1: some receiver is not well.

    Example: [bold]oda notify status notify.yaml[/bold]
    """
    settings = _settings(ctx).kafka
    found = list(status(settings, _parsed(file)))
    table = Table("receiver", "state", "behind", "since (UTC)", "suppressed", "refused", "the last, and why")
    for one in found:
        last = f"{one.refused[-1].notification['id']}: {one.refused[-1].reason}" if one.refused else ""
        since = time_text(one.oldest) if one.oldest else ""
        table.add_row(
            one.receiver,
            plain(_state(one)),
            str(one.waiting),
            since,
            str(one.suppressed),
            str(len(one.refused)),
            plain(last),
        )
    Console(markup=False).print(table)
    if any(one.refused for one in found):
        print(f"what was refused: oda consume --topic {topic(settings)} --from-beginning")
    raise typer.Exit(int(any(one.away or not one.is_known for one in found)))


def _state(one: Status) -> str:
    if not one.is_known:
        return "never started"
    if one.away:
        return f"tried again later: {one.away}"
    return f"was told that ODA stands still since {time_text(one.standstill)}" if one.standstill else "well"


def _parsed(file: Path) -> File:
    with problems_of(str(file)):
        return parse(text_of(file))


def _settings(ctx: typer.Context) -> Settings:
    context: Context = ctx.obj
    return context.settings()
