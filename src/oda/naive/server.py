"""The naive producer: a random walk, broadcast over Socket.IO while somebody listens."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import socketio  # type: ignore[import-untyped]
from aiohttp import web

from oda.collect.walk import Walk
from oda.web.listening import serve_until_stopped
from oda.web.where import Where

EVENT = "walk"
"""Its payload is a bare number."""

INTERVAL = 0.010
"""Seconds from one number to the next, and a little more: each is sent, then it sleeps."""


CONNECTIONS = 500


class Server:
    """Broadcasts a random walk to whoever is connected; it rests while nobody is.

    Attributes:
        sent: how many numbers were broadcast.
        clients: who is connected.
    """

    def __init__(self, random: Random, interval: float = INTERVAL) -> None:
        self.sent = 0
        self.clients: set[str] = set()
        self._walk = Walk(random)
        self._interval = interval
        self._somebody = asyncio.Event()
        self._server = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")
        self._server.on("connect", self._connected)
        self._server.on("disconnect", self._disconnected)

    def application(self) -> web.Application:
        """With `GET /`, which says how many numbers were sent, and to how many it sends now."""
        application = web.Application()
        self._server.attach(application)
        application.router.add_get("/", self._say)
        return application

    async def run(self) -> None:
        """Broadcast, until cancelled."""
        while True:
            await self._somebody.wait()
            await self._server.emit(EVENT, self._walk.step())
            self.sent += 1
            await asyncio.sleep(self._interval)

    async def _connected(self, client: str, *_: Any) -> None:
        self.clients.add(client)
        self._somebody.set()

    async def _disconnected(self, client: str, *_: Any) -> None:
        self.clients.discard(client)
        if not self.clients:
            self._somebody.clear()

    async def _say(self, _: web.Request) -> web.Response:
        return web.json_response({"sent": self.sent, "clients": len(self.clients)})


async def serve(host: str, port: int, seed: int | None, interval: float) -> int:
    """Broadcast until Ctrl-C or SIGTERM; returns how many numbers were sent.

    Raises:
        UserError: the address is taken, or none of this machine.
    """
    server = Server(Random(seed), interval)
    running = asyncio.create_task(server.run())
    try:
        await serve_until_stopped(server.application(), Where(host, port), CONNECTIONS, 1.0)
    finally:
        running.cancel()
    return server.sent
