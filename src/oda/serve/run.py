"""Starts the server, and ends it at Ctrl-C or SIGTERM."""

from __future__ import annotations

from collections.abc import Callable

from oda.query.storm import StormState
from oda.serve.app import application
from oda.serve.guard import Guard
from oda.serve.service import Service
from oda.settings import Settings
from oda.web.listening import serve_until_stopped
from oda.web.where import Where

CONNECTIONS = 2_000
"""At once: a browser has up to seven."""

_FINISH_SECONDS = 5.0
"""How long requests that have begun may take at the end."""


async def serve(settings: Settings, storm: StormState, where: Where, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        settings: of the system that is shown.
        storm: of its topology.
        where: how it is reached.
        say: is told when it listens, and where.

    Raises:
        UserError: the address is taken, or none of this machine, or open to others without what that takes.
    """
    where.check()
    service = Service(settings, storm)
    await serve_until_stopped(application(service, Guard(where)), where, CONNECTIONS, _FINISH_SECONDS, say)
