"""Starts the server, and ends it at Ctrl-C or SIGTERM."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from oda.collect.stopping import until_stopped
from oda.errors import UserError
from oda.query.storm import StormState
from oda.serve.app import application
from oda.serve.guard import LOOPBACK, Guard
from oda.serve.service import Service
from oda.settings import Settings

_FINISH_SECONDS = 5.0
"""How long requests that have begun may take at the end."""


@dataclass(frozen=True)
class Where:
    """How the server is reached.

    Attributes:
        host, port: on which it listens.
        certificate, key: PEM files for TLS; None without.
        tokens: names by token.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    @property
    def url(self) -> str:
        """For people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}/"

    def check(self) -> None:
        """Raises UserError: it would be open to others without a token, or its tokens to whoever listens in."""
        if bool(self.certificate) != bool(self.key):
            raise UserError("--certificate and --key: give both, or none")
        if self.is_loopback:
            return
        missing = []
        if not self.tokens:
            missing.append("a token, by --token-file or in the environment as ODA_TOKEN (`openssl rand -hex 16`)")
        if self.certificate is None:
            missing.append("TLS, by --certificate and --key")
        if missing:
            raise UserError(f"--host {self.host} lets other machines in, which takes {' and '.join(missing)}")

    def context(self) -> ssl.SSLContext | None:
        """For TLS. Raises UserError: a file can't be read, or is no certificate, or not with this key."""
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            problem = error.strerror or error
            raise UserError(f"--certificate {self.certificate}, --key {self.key}: {problem}") from None
        return context


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
    context = where.context()
    hosts = LOOPBACK if where.is_loopback else ()
    guard = Guard(where.tokens, hosts, context is not None)
    service = Service(settings, storm)
    runner = web.AppRunner(application(service, guard), access_log=None, shutdown_timeout=_FINISH_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, where.host, where.port, ssl_context=context).start()
        say(where.url)
        await until_stopped()
    except OSError as error:
        problem = f"can't listen on {where.host}:{where.port}: {error.strerror}"
        raise UserError(f"{problem}; give another --host or --port") from None
    finally:
        await runner.cleanup()
