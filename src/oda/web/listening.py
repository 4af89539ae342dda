"""Listens, until it is told to stop, to as many as the server can hold: who comes then is told so, and let go.

aiohttp has no such bound, nor asyncio one of those in the midst of a TLS handshake; so connections are accepted here.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import msgspec
from aiohttp import web

from oda.errors import UserError
from oda.stopping import until_stopped
from oda.web.where import Where

IDLE = 30.0
"""How long a connection may take to its first request, or to its next one, its headers included; seconds."""

HANDSHAKE = 10.0
"""How long that of TLS may take, and its end; seconds."""

RETRY_AFTER = 5
"""What is told to those who are too many, seconds."""

_REFUSED = 64
"""Of those who are too many, so many are told at once; more are cut off."""

_HEARS = 1.0
"""How long somebody is given to read that, seconds."""

_FILES = 256
"""That a server has open besides its connections, at most."""


async def serve_until_stopped(
    application: web.Application, where: Where, most: int, finish: float, say: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until Ctrl-C or SIGTERM, then for at most `finish` seconds what requests have begun.

    Args:
        application: what is served.
        where: how it is reached.
        most: connections at once.
        finish: see above.
        say: is told the URL, once it listens.

    Raises:
        UserError: the address is taken, or none of this machine, or the files for TLS can't be used.
    """
    context = where.context()
    _have_room_for(most)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=finish, keepalive_timeout=IDLE)
    await runner.setup()
    assert runner.server is not None
    listeners: list[Listener] = []
    try:
        for address in await _addresses(where):
            listeners.append(Listener(address, runner.server, context, most))
        say(where.url)
        await until_stopped()
    except OSError as error:
        problem = f"can't listen on {where.host}:{where.port}: {error.strerror}"
        raise UserError(f"{problem}; give another --host or --port") from None
    finally:
        for listener in listeners:
            await listener.close()
        await runner.cleanup()


class Listener:
    """Accepts connections to one address.

    Args:
        address: family, and what to bind to.
        server: answers requests.
        context: for TLS; None without.
        most: connections at once, of all listeners of the server.

    Raises:
        OSError: the address can't be had.
    """

    def __init__(
        self, address: tuple[int, tuple[str, int]], server: web.Server, context: ssl.SSLContext | None, most: int
    ) -> None:
        family, place = address
        self.socket = socket.create_server(place, family=family, backlog=1024)
        self.socket.setblocking(False)
        self._server = server
        self._context = context
        self._most = most
        self._begun: set[asyncio.Task[None]] = set()  # connections that are not the server's yet, nor are refused yet
        self._refused: set[asyncio.BaseTransport] = set()
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept none any more."""
        for task in (self._accepting, *self._begun):
            task.cancel()
        await asyncio.gather(self._accepting, *self._begun, return_exceptions=True)
        for transport in self._refused:
            transport.close()
        self.socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self.socket)
                await asyncio.sleep(0)  # however many come, others have their turn
            except OSError:  # no more files, or whoever came has gone already
                await asyncio.sleep(0.1)
                continue
            if len(self._begun) + len(self._server.connections) < self._most:
                begun = self._begin(connection, self._server)
            elif len(self._refused) < _REFUSED:
                begun = self._begin(connection, self._refusal)
            else:
                connection.close()
                continue
            task = asyncio.create_task(begun)
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _begin(self, connection: socket.socket, factory: Callable[[], asyncio.Protocol]) -> None:
        limits = {"ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": HANDSHAKE} if self._context else {}
        loop = asyncio.get_running_loop()
        # Who goes in the midst of it, takes too long, or speaks no TLS, has no more to be told.
        with suppress(OSError):
            await loop.connect_accepted_socket(factory, connection, ssl=self._context, **limits)

    def _refusal(self) -> asyncio.Protocol:
        return _Refusal(self._refused, f"{self._most} connections are open, which is all that this server holds")


class _Refusal(asyncio.Protocol):
    """Answers whatever is asked with 503."""

    def __init__(self, all_of_them: set[asyncio.BaseTransport], reason: str) -> None:
        self._all = all_of_them
        self._reason = reason

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all.add(transport)
        body = msgspec.json.encode({"error": self._reason})
        status = HTTPStatus.SERVICE_UNAVAILABLE
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Retry-After: {RETRY_AFTER}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        transport.write(head.encode() + body)
        # Closed at once, with a request on its way, the answer could be lost.
        asyncio.get_running_loop().call_later(_HEARS, transport.close)

    def connection_lost(self, _: Exception | None) -> None:
        self._all.discard(self._transport)


async def _addresses(where: Where) -> list[tuple[int, tuple[str, int]]]:
    """Of a name, each once."""
    found = await asyncio.get_running_loop().getaddrinfo(
        where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, place[:2]) for family, _, _, _, place in found))  # type: ignore[misc]


def _have_room_for(connections: int) -> None:
    """Each is a file, of which a process may have few unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _REFUSED + _FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
