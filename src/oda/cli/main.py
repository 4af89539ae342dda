"""The `oda` command: finds the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oda.cli.context import Context
from oda.errors import UserError

_MODULES = {
    "try": "trial",
    "up": "servers",
    "down": "servers",
    "status": "servers",
    "machines": "machines",
    "admin": "admin",
    "topics": "topics",
    "produce": "topics",
    "consume": "topics",
    "collect": "collect",
    "watch": "watch",
    "serve": "serve",
    "notify": "notify",
    "why": "why",
    "verify": "verify",
    "export": "export",
    "rules": "rules",
    "shadow": "shadow",
    "demo": "demo",
    "naive": "naive",
    "chaos": "chaos",
    "bench": "bench",
    "plan": "plan",
    "test": "test",
}
"""Of `oda.cli`, by command; each has `register`, which adds its commands to an application."""


class Commands(TyperGroup):
    """Imports a command when it is asked for: all of them together take a second."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_MODULES)

    def get_command(self, ctx: Any, name: str) -> Any:  # noqa: ARG002 - click's signature
        if name not in _MODULES:
            return None
        found = typer.Typer(rich_markup_mode="rich")
        import_module(f"oda.cli.{_MODULES[name]}").register(found)
        return typer.main.get_group(found).commands[name]


app = typer.Typer(
    name="oda",
    cls=Commands,
    help="Online Data Analytics: anomalies and incidents in live series, on Kafka and Storm.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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
