"""TLS contexts whose files may change: what is connected stays so, the next connection goes by what is there then."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oda.errors import UserError
from oda.say import say


class Fresh(ssl.SSLContext):
    """Stands for another context in each connection that it is asked for.

    Args:
        protocol: one of `ssl.PROTOCOL_...`.
        current: gives that other one.
    """

    def __new__(cls, protocol: int, _: Callable[[], ssl.SSLContext]) -> Fresh:
        return super().__new__(cls, protocol)

    def __init__(self, _: int, current: Callable[[], ssl.SSLContext]) -> None:
        self._current = current

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self._current().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*args, **kwargs)


def load_chain(context: ssl.SSLContext, certificate: str | Path, key: str | Path, names: tuple[str, str]) -> None:
    """Have a context show a certificate; raises UserError that calls the two files by `names`."""

    def no_passphrase() -> str:
        raise UserError(f"{names[1]} {key}: must not be encrypted; protect it by its mode")

    try:
        context.load_cert_chain(certificate, key, no_passphrase)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{names[0]} {certificate}, {names[1]} {key}: {unreadable(error)}") from None


def unreadable(error: OSError) -> str:
    """Why files of certificates can't be used."""
    if isinstance(error, ssl.SSLError):
        return "holds nothing of that kind in PEM, or not what belongs together"
    return str(error.strerror)


class ServerCertificate:
    """What a server of ours shows. Files that can't be used once it runs are said, and the former ones used on.

    Args:
        certificate: a PEM file, with its chain.
        key: its key, a PEM file that is not encrypted.

    Raises:
        UserError: they can't be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._held = self._contents()
        self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """For connections, of now and later."""
        return Fresh(ssl.PROTOCOL_TLS_SERVER, self._newest)

    def _newest(self) -> ssl.SSLContext:
        held = self._contents()
        if held != self._held:  # a context made anew for each connection could resume none
            self._held = held
            try:
                self._context = self._made()
            except UserError as error:
                say(f"{error}; the former certificate is used on")
        return self._context

    def _contents(self) -> list[bytes]:
        return [_content(file) for file in self._files]

    def _made(self) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        load_chain(made, *self._files, ("--certificate", "--key"))
        return made


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
