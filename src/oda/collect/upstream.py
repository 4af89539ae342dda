"""A Socket.IO server that pushes: where it is, by whom it must be vouched for, and by what it knows us."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from oda.errors import UserError
from oda.secret import read_secret
from oda.security import addresses, context, tls_problem
from oda.settings import SYSTEM, Security
from oda.web.where import LOOPBACK


class _Trust(Security):
    """What the options of the command say."""

    def named(self, field: str) -> str:
        return f"--{field}"


@dataclass(frozen=True)
class Upstream:
    """How a server is reached; its files are read for each connection.

    Attributes:
        url: http, https, ws or wss.
        ca: a PEM file of the authorities that may sign its certificate; None is those of the operating system.
        token_file: holds the token that we send, and nothing else; None if it wants none.
    """

    url: str
    ca: Path | None = None
    token_file: Path | None = None

    def check(self) -> None:
        """Raises UserError: it is no URL, or a file can't be used, or the token would be read on the way."""
        require_url(self.url)
        if self.ca and not self._is_secure:
            raise UserError(f"--ca is for URLs that begin with https://, not {self.url}")
        if self.token_file and not self._is_secure and urlsplit(self.url).hostname not in LOOPBACK:
            raise UserError(f"--token-file: on its way to {self.url} a token could be read; it takes https://")
        self.context()
        self.token()

    def token(self) -> str | None:
        """Raises UserError."""
        if self.token_file is None:
            return None
        try:
            return read_secret(str(self.token_file), None)
        except UserError as error:
            raise UserError(f"--token-file: {error}") from None

    def context(self) -> ssl.SSLContext | None:
        """For connections by TLS, of now and later; None where there is none. Raises UserError."""
        return context(self._trust) if self._is_secure else None

    def problem(self) -> str | None:
        """What is wrong with the server's TLS, in one line; None if nothing is. Blocks up to some seconds."""
        return tls_problem(addresses(self.url), self._trust) if self._is_secure else None

    @property
    def _is_secure(self) -> bool:
        return urlsplit(self.url).scheme in ("https", "wss")

    @property
    def _trust(self) -> Security:
        return _Trust(ca=str(self.ca.absolute()) if self.ca else SYSTEM)


def require_url(text: str) -> None:
    """Raises UserError unless it is one that Socket.IO can connect to."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise UserError(f"{text!r} is no URL of a Socket.IO server, such as http://localhost:5000")
