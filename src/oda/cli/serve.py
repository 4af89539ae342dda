"""`oda serve`: the page, its API, metrics and health."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from oda.cli.context import Context
from oda.cli.where import Certificate, Host, Key, Port, TokenFile
from oda.query.storm import StormState
from oda.say import say
from oda.serve.run import serve as serve_until_stopped
from oda.storm.topologies import TOPOLOGY, Storm
from oda.web.tokens import tokens_of_environment, tokens_of_file
from oda.web.where import Where

PORT = 8088

_VARIABLE = "ODA_TOKEN"
"""Of the environment: one token, where there is no file of them."""


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    ctx: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    token_file: TokenFile = None,
    certificate: Certificate = None,
    key: Key = None,
    topology: Annotated[str, typer.Option(help="The topology's name in Storm.")] = TOPOLOGY,
) -> None:
    """Shows all that goes on, as a page in the browser; until Ctrl-C.

    Without options only this machine can look, and needs no token. Others can with
    --host, TLS, and a token from --token-file, or in the environment as ODA_TOKEN.
    What it serves besides: /metrics for Prometheus, /health and /ready, and the
    page's API (docs/page.md).

    Examples:

        oda serve

        oda serve --host 0.0.0.0 --token-file tokens --certificate cert.pem --key key.pem
    """
    context: Context = ctx.obj
    tokens = tokens_of_file(token_file) if token_file else tokens_of_environment(_VARIABLE)
    where = Where(host, port, certificate, key, tokens)
    settings = context.settings()
    storm = StormState(Storm(context.config, context.env).api, topology)
    asyncio.run(serve_until_stopped(settings, storm, where, lambda url: say(f"the page is at {url}")))
