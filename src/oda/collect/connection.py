"""One connection to a Socket.IO server, from its beginning to its end, and why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import socketio  # type: ignore[import-untyped]
from aiohttp import ClientSession

from oda.collect.upstream import Upstream
from oda.errors import UserError, shorten

SECONDS = 10.0
"""How long the server may take to let us in."""


class Connection:
    """Has a client of its own: acknowledgements are numbered per connection, and a late one must not be misread.

    Args:
        session: what it connects by.
        event: what is taken from the server.
        received: called with each event's payload; what it returns is the acknowledgement.
    """

    def __init__(self, session: ClientSession, event: str, received: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        self._said = ""
        self._client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=session)
        self._client.on(event, received)
        self._client.on("connect_error", self._refused)

    async def open(self, upstream: Upstream) -> str | None:
        """Connect; returns why that can't be done, in one line, None when it is."""
        try:
            token = upstream.token()
            # Some servers look at the one, some at the other.
            headers, auth = ({"Authorization": f"Bearer {token}"}, {"token": token}) if token else ({}, None)
            await self._client.connect(upstream.url, headers=headers, auth=auth, wait_timeout=SECONDS)
        except UserError as error:
            return str(error)
        except socketio.exceptions.ConnectionError as error:
            return await asyncio.to_thread(upstream.problem) or self._said or str(error)
        return None

    async def _refused(self, reason: Any) -> None:
        """What the server says of it, as one line."""
        said = str(reason.get("message", reason) if isinstance(reason, dict) else reason)
        self._said = shorten(" ".join(said.split()))

    async def ended(self) -> None:
        """Wait until it is, whoever ends it."""
        await asyncio.shield(self._client.wait())  # or to cancel us would end the connection's own tasks

    async def close(self) -> None:
        await self._client.disconnect()
