"""Who may ask, by which way.

On the loopback interface anybody of the machine may, elsewhere who has a token. A page of another origin may not, even
where there is no token: neither by a name that it has pointed at this machine, nor through its visitor's browser.
"""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from oda.errors import UserError
from oda.web.answers import error, later
from oda.web.where import Where

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Server": "oda",  # which versions it is made of is nobody's business
}

_AGAIN_SECONDS = 5
"""When somebody may have mended the file of tokens."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Lets requests pass, or answers them itself.

    Args:
        where: how the server is reached, and by whom.
    """

    headers = HEADERS
    """Of each answer."""

    def __init__(self, where: Where) -> None:
        self.tokens = where.tokens
        self.is_secure = where.certificate is not None
        self._hosts = where.hosts

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request."""
        try:
            refusal = self._refusal(request)
            response = refusal if refusal is not None else await handler(request)
        except UserError:  # what is wrong with the tokens, those who run the server are told
            problem = "this server can't use its file of tokens just now"
            response = later(HTTPStatus.SERVICE_UNAVAILABLE, problem, _AGAIN_SECONDS)
        except web.HTTPException as raised:
            response = error(raised.status, raised.reason)
            response.headers.update({name: raised.headers[name] for name in ("Allow",) if name in raised.headers})
        if not response.prepared:
            response.headers.update(self.headers)
            response.headers["Cache-Control"] = self.caching(request)
            if self.is_secure:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    def who(self, request: web.Request) -> str | None:
        """The name of who asks; None if that is nobody who may. Raises UserError: the tokens can't be used."""
        if self.tokens is None:
            return getpass.getuser()
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.tokens.owner(token.strip()) if kind.lower() == "bearer" else None

    def is_open(self, request: web.Request) -> bool:
        """Whether what is asked for tells nothing, so that anybody may ask."""
        return request.path == "/health"

    def caching(self, _: web.Request) -> str:
        """How long an answer holds."""
        return "no-store"

    def _refusal(self, request: web.Request) -> web.Response | None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if self._hosts and _part(f"//{host}", "hostname") not in self._hosts:
            return error(HTTPStatus.FORBIDDEN, f"this server is not called so; it is asked as {self._hosts[0]}")
        if origin is not None and _part(origin, "netloc") != host:
            return error(HTTPStatus.FORBIDDEN, "a page of another origin may not ask this server")
        if self.is_open(request):
            return None
        if self.who(request) is None:
            given = "Authorization" in request.headers
            refusal = error(HTTPStatus.UNAUTHORIZED, _WRONG if given else _MISSING)
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        return None


_MISSING = "this server wants a token, as Authorization: Bearer TOKEN"
_WRONG = "this is no token of this server, or no longer"


def _part(url: str, name: str) -> str | None:
    """Of an address that somebody sent; None if it is none."""
    try:
        found: str | None = getattr(urlsplit(url), name)
    except ValueError:
        return None
    return found
