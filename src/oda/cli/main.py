"""The `oda` command: finds the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from oda.cli.context import Context
from oda.errors import UserError
from oda.paths import IN_CLONE

_CLONE = "clone"

_COMMANDS = {
    "try": ("trial", "tools"),
    "up": ("servers", _CLONE),
    "down": ("servers", _CLONE),
    "status": ("servers", _CLONE),
    "machines": ("machines", _CLONE),
    "compose": ("compose", _CLONE),
    "admin": ("admin", "tools"),
    "topics": ("topics", ""),
    "produce": ("topics", ""),
    "consume": ("topics", ""),
    "collect": ("collect", ""),
    "watch": ("watch", ""),
    "serve": ("serve", "page"),
    "notify": ("notify", "page"),
    "why": ("why", "tools"),
    "verify": ("verify", "tools"),
    "export": ("export", "page"),
    "rules": ("rules", "tools"),
    "shadow": ("shadow", "tools"),
    "demo": ("demo", _CLONE),
    "naive": ("naive", _CLONE),
    "chaos": ("chaos", _CLONE),
    "bench": ("bench", _CLONE),
    "plan": ("plan", _CLONE),
    "test": ("test", _CLONE),
}
"""By command: the module of `oda.cli`, whose `register` adds its commands to an application; and what it needs, an
extra of the package or all of the source."""


class Commands(TyperGroup):
    """Imports a command when it is asked for: all of them together take a second."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:  # noqa: ARG002 - click's signature
        if name not in _COMMANDS:
            return None
        found = typer.Typer(rich_markup_mode="rich")
        _register(found, name)
        return typer.main.get_group(found).commands[name]


def _register(to: typer.Typer, name: str) -> None:
    module, needs = _COMMANDS[name]
    if needs == _CLONE and not IN_CLONE:
        return _register_missing(to, name, "is of ODA's source: ./oda in a clone")
    try:
        import_module(f"oda.cli.{module}").register(to)
    except ModuleNotFoundError as error:
        if not needs:
            raise
        package = str(error.name).partition(".")[0]
        _register_missing(to, name, f"needs {package}, which is not installed: install oda[{needs}]")


def _register_missing(to: typer.Typer, name: str, why: str) -> None:
    """Whatever it is asked for, it says why it is not there."""

    def missing() -> None:
        raise UserError(f"oda {name} {why}")

    anything = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    to.command(name, help=f"Not here: it {escape(why)}", context_settings=anything)(missing)


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


def storm() -> None:
    """Run `storm` as streamparse's `sparse` knows it."""
    if not IN_CLONE:
        sys.exit("storm: this one is of ODA's source, in a clone; Storm's own is to be found first on the PATH")
    import_module("oda.cluster.storm_command").main()
