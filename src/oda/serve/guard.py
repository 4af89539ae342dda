"""Who may look at the page, and what a browser may do with what it is given: a token, once said, becomes a cookie."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from http import HTTPStatus

from aiohttp import web

from oda.web import guard
from oda.web.answers import error

COOKIE = "oda"

SESSION_SECONDS = 30 * 86_400

_WRONG_SECONDS = 1.0
"""How long a wrong token waits for its answer."""

OPEN = ("/health", "/ready", "/api/me", "/api/login", "/")
"""Paths that tell nothing of the readings, as do the page's files."""

HEADERS = guard.HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard(guard.Guard):
    """Lets in who has logged in, too."""

    headers = HEADERS

    def who(self, request: web.Request) -> str | None:
        found = super().who(request)
        if found is None and "Authorization" not in request.headers:
            return self._session(request.cookies.get(COOKIE, ""))
        return found

    def is_open(self, request: web.Request) -> bool:
        return request.path in OPEN or request.path.startswith("/page/")

    def caching(self, request: web.Request) -> str:
        is_file = request.path == "/" or request.path.startswith("/page/")
        return "no-cache" if is_file else "no-store"  # a file has an ETag

    async def login(self, token: str) -> web.Response:
        """Answer who says a token: with a cookie, if it is one. Raises UserError: the tokens can't be used."""
        if self.tokens is not None and self.tokens.owner(token) is None:
            await asyncio.sleep(_WRONG_SECONDS)
            return error(HTTPStatus.UNAUTHORIZED, "this is no token of this server")
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        if self.tokens is not None:
            until = int(time.time()) + SESSION_SECONDS
            response.set_cookie(
                COOKIE,
                f"{until}.{_signature(token, until)}",
                max_age=SESSION_SECONDS,
                httponly=True,
                samesite="Strict",
                secure=self.is_secure,
            )
        return response

    def _session(self, cookie: str) -> str | None:
        until, _, signature = cookie.partition(".")
        if self.tokens is None or not until.isdecimal() or len(until) > 12 or int(until) < time.time():
            return None
        for token, name in self.tokens.known().items():
            said = signature.encode("utf-8", "surrogatepass")  # whatever was in the header
            if hmac.compare_digest(_signature(token, int(until)).encode(), said):
                return name
        return None


def _signature(token: str, until: int) -> str:
    """What only who knows the token can make: a session outlives a restart, and ends when its token is taken away."""
    return hmac.new(token.encode(), f"session until {until}".encode(), hashlib.sha256).hexdigest()
