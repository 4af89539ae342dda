"""Who may ask, and what a browser may do with the answers.

On the loopback interface anybody of the machine may, elsewhere who has a token. A page of another origin may not, even
where there is no token: neither by a name that it has pointed at this machine, nor through its visitor's browser.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from oda.errors import UserError
from oda.serve.answers import error

MIN_TOKEN = 16
"""Characters; shorter ones can be guessed."""

COOKIE = "oda"

SESSION_SECONDS = 30 * 86_400

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_WRONG_SECONDS = 1.0
"""How long a wrong token waits for its answer."""

OPEN = ("/health", "/ready", "/api/me", "/api/login", "/")
"""Paths that tell nothing of the readings, as do the page's files."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "oda",  # which versions it is made of is nobody's business
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def read_tokens(text: str, source: str) -> dict[str, str]:
    """Who has which token: lines of a name and a token, or of a token alone, whose owner is called `token`.

    >>> read_tokens("ann 0123456789abcdef", "a file")
    {'0123456789abcdef': 'ann'}

    Raises:
        UserError: there is none, or one is too short.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or line.lstrip().startswith("#"):
            continue
        name, token = words if len(words) == 2 else ("token", line.strip())
        if len(token) < MIN_TOKEN or len(words) > 2:
            raise UserError(
                f"{source}, line {number}: must be a token of at least {MIN_TOKEN} characters, or a name and a token; "
                "`openssl rand -hex 16` makes one"
            )
        found[token] = name
    if not found:
        raise UserError(f"{source}: there is no token in it; `openssl rand -hex 16` makes one")
    return found


class Guard:
    """Lets requests pass, or answers them itself.

    Args:
        tokens: names of their owners, by token; empty if nobody needs one.
        hosts: names by which this server may be asked for; empty for any.
        is_secure: whether it is asked by TLS.
    """

    def __init__(self, tokens: Mapping[str, str], hosts: tuple[str, ...], is_secure: bool) -> None:
        self._tokens = tokens
        self._hosts = hosts
        self._is_secure = is_secure

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request."""
        try:
            refusal = self._refusal(request)
            response = refusal if refusal is not None else await handler(request)
        except web.HTTPException as raised:
            response = error(raised.status, raised.reason)
            response.headers.update({name: raised.headers[name] for name in ("Allow",) if name in raised.headers})
        if not response.prepared:
            response.headers.update(HEADERS)
            is_file = request.path == "/" or request.path.startswith("/page/")
            response.headers["Cache-Control"] = "no-cache" if is_file else "no-store"  # a file has an ETag
            if self._is_secure:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    def who(self, request: web.Request) -> str | None:
        """The name of who asks; None if that is nobody who may."""
        if not self._tokens:
            return getpass.getuser()
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._owner(token.strip())
        return self._session(request.cookies.get(COOKIE, ""))

    async def login(self, token: str) -> web.Response:
        """Answer who says a token: with a cookie, if it is one."""
        if self._tokens and self._owner(token) is None:
            await asyncio.sleep(_WRONG_SECONDS)
            return error(HTTPStatus.UNAUTHORIZED, "this is no token of this server")
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        if self._tokens:
            until = int(time.time()) + SESSION_SECONDS
            response.set_cookie(
                COOKIE,
                f"{until}.{_signature(token, until)}",
                max_age=SESSION_SECONDS,
                httponly=True,
                samesite="Strict",
                secure=self._is_secure,
            )
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if self._hosts and _part(f"//{host}", "hostname") not in self._hosts:
            return error(HTTPStatus.FORBIDDEN, f"this server is not called so; it is asked as {self._hosts[0]}")
        if origin is not None and _part(origin, "netloc") != host:
            return error(HTTPStatus.FORBIDDEN, "a page of another origin may not ask this server")
        is_open = request.path in OPEN or request.path.startswith("/page/")
        if not is_open and self.who(request) is None:
            refusal = error(HTTPStatus.UNAUTHORIZED, "this server wants a token")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        return None

    def _owner(self, token: str) -> str | None:
        # Each is compared, so that the time taken tells nothing.
        found = [name for one, name in self._tokens.items() if hmac.compare_digest(_bytes(one), _bytes(token))]
        return found[0] if found else None

    def _session(self, cookie: str) -> str | None:
        until, _, signature = cookie.partition(".")
        if not until.isdecimal() or len(until) > 12 or int(until) < time.time():
            return None
        for token, name in self._tokens.items():
            if hmac.compare_digest(_bytes(_signature(token, int(until))), _bytes(signature)):
                return name
        return None


def _part(url: str, name: str) -> str | None:
    """Of an address that somebody sent; None if it is none."""
    try:
        found: str | None = getattr(urlsplit(url), name)
    except ValueError:
        return None
    return found


def _bytes(text: str) -> bytes:
    """Of a header, whatever was in it."""
    return text.encode("utf-8", "surrogatepass")


def _signature(token: str, until: int) -> str:
    """What only who knows the token can make: a session outlives a restart, and ends when its token is taken away."""
    return hmac.new(token.encode(), f"session until {until}".encode(), hashlib.sha256).hexdigest()
