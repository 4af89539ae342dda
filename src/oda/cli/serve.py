"""`oda serve`: the page, its API, metrics and health."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from oda.cli.context import Context
from oda.collect.intake import say
from oda.errors import UserError
from oda.query.storm import StormState
from oda.serve.guard import read_tokens
from oda.serve.run import Where
from oda.serve.run import serve as serve_until_stopped
from oda.storm.topologies import TOPOLOGY, Storm

PORT = 8088

_VARIABLE = "ODA_TOKEN"


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="On which port.")] = PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Who may look: lines of a name and a token.", show_default=f"{_VARIABLE} in the environment"),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS: a PEM file, with its chain.")] = None,
    topology: Annotated[str, typer.Option(help="The topology's name in Storm.")] = TOPOLOGY,
    key: Annotated[Path | None, typer.Option(help="TLS: the certificate's key, a PEM file.")] = None,
) -> None:
    """Shows all that goes on, as a page in the browser; until Ctrl-C.

    Without options only this machine can look, and needs no token. Others can with
    --host, a token and TLS. What it serves besides: /metrics for Prometheus,
    /health and /ready, and the page's API (docs/page.md).

    Examples:

        oda serve

        oda serve --host 0.0.0.0 --token-file tokens --certificate cert.pem --key key.pem
    """
    context: Context = ctx.obj
    where = Where(host, port, certificate, key, _tokens(token_file))
    settings = context.settings()
    storm = StormState(Storm(context.config, context.env).api, topology)
    asyncio.run(serve_until_stopped(settings, storm, where, lambda url: say(f"the page is at {url}")))


def _tokens(path: Path | None) -> Mapping[str, str]:
    """Raises UserError."""
    if path is not None:
        try:
            return read_tokens(path.read_text("utf-8"), f"--token-file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--token-file {path}: {getattr(error, 'strerror', None) or error}") from None
    token = os.environ.get(_VARIABLE)
    return {} if token is None else read_tokens(token, f"{_VARIABLE} in the environment")
