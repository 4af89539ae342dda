"""The `oda` command: gathers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from oda.cli import (
    bench,
    chaos,
    collect,
    demo,
    plan,
    rules,
    serve,
    servers,
    shadow,
    test,
    topics,
    trial,
    verify,
    watch,
    why,
)
from oda.cli.context import Context
from oda.errors import UserError

app = typer.Typer(
    name="oda",
    help="Online Data Analytics: anomalies and incidents in live series, on Kafka and Storm.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
trial.register(app)
servers.register(app)
topics.register(app)
app.add_typer(collect.app, name="collect")
watch.register(app)
serve.register(app)
why.register(app)
verify.register(app)
app.add_typer(rules.app, name="rules")
shadow.register(app)
demo.register(app)
chaos.register(app)
app.add_typer(bench.app, name="bench")
plan.register(app)
test.register(app)


@app.callback()
def _globals(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option(envvar="ODA_CONFIG", help="The config.json to use.")] = Path("config.json"),
    env: Annotated[str, typer.Option("--env", "-e", help="The environment in config.json.")] = "local",
) -> None:
    ctx.obj = Context(config, env)


def main() -> None:
    """Run `oda`; exit codes: 0 done, 1 found something wrong, 2 a user's mistake, 130 Ctrl-C."""
    try:
        app()
    except UserError as error:
        print(f"oda: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
