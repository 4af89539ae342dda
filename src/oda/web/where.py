"""How a server is reached, and what that takes: other machines come in by TLS and with a token only."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from oda.errors import UserError
from oda.tls import ServerCertificate
from oda.web.tokens import Tokens

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""How this machine is called by itself."""


@dataclass(frozen=True)
class Where:
    """How a server is reached.

    Attributes:
        host, port: on which it listens.
        certificate, key: PEM files for TLS; None without.
        tokens: of those who may ask; None if nobody needs one.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    tokens: Tokens | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    @property
    def hosts(self) -> tuple[str, ...]:
        """By which names it may be asked for; none for any. A page of the world may have pointed its own at us."""
        return LOOPBACK if self.is_loopback else ()

    @property
    def url(self) -> str:
        """For people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}/"

    def check(self) -> None:
        """Raises UserError: it would be open to others without a token, or its tokens to whoever listens in."""
        if self.is_loopback:
            return
        missing = []
        if self.tokens is None:
            missing.append("tokens, by --token-file (`openssl rand -hex 16` makes one)")
        if self.certificate is None:
            missing.append("TLS, by --certificate and --key")
        if missing:
            raise UserError(f"--host {self.host} lets other machines in, which takes {' and '.join(missing)}")

    def context(self) -> ssl.SSLContext | None:
        """For TLS. Raises UserError: a file can't be read, or is no certificate, or not with this key."""
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise UserError("--certificate and --key: give both, or none")
        return ServerCertificate(self.certificate, self.key).context()
