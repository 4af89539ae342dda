"""What a section `oda.*.security` means to a client: a TLS context, a password; and why a connection is not made.

Files are read for each connection, so certificates and passwords that are changed hold from the next one on.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from oda.errors import UserError
from oda.secret import read_secret
from oda.settings import SYSTEM, Security
from oda.tls import Fresh, load_chain, unreadable

PROBE_SECONDS = 5.0
"""How long one look at a server may take."""

_ANSWER_SECONDS = 1.0
"""Since TLS 1.3 a server refuses our certificate after the handshake; one that says nothing for so long has not."""


def context(security: Security) -> ssl.SSLContext | None:
    """For connections by TLS, None where there is none; raises UserError when a file of the section can't be used."""
    if security.ca is None:
        return None
    _read(security)  # what is wrong is said now, and not by a client that tries again and again
    return Fresh(ssl.PROTOCOL_TLS_CLIENT, lambda: _read(security))


def password(security: Security) -> str:
    """The user's. Raises UserError that names the setting."""
    try:
        return read_secret(security.password_file, security.password_env)
    except UserError as error:
        which = "password_file" if security.password_file else "password_env"
        raise UserError(f"{security.setting}.{which}: {error}") from None


def account(security: Security) -> str:
    """Which it is, for errors."""
    where = "password_file" if security.password_file else "password_env"
    return f"{security.setting}.user = {security.user} with the password of {where}"


def _read(security: Security) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=None if security.ca == SYSTEM else security.ca)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{security.named('ca')} = {security.ca}: {unreadable(error)}") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if security.certificate and security.key:
        names = f"{security.named('certificate')} =", f"{security.named('key')} ="
        load_chain(made, security.certificate, security.key, names)
    return made


# -- why a connection is not made -----------------------------------------------------------------


def tls_problem(addresses: Iterable[tuple[str, int]], security: Security) -> str | None:
    """What is wrong between the section and the servers' TLS, in one line that names the setting; None if nothing is.

    A server that is away is not looked at: that is another problem. Blocks up to some seconds an address.
    """
    for host, port in addresses:
        try:
            found = _problem(host, port, security)
        except UserError as error:
            found = str(error)
        if found:
            return found
    return None


def addresses(text: str) -> list[tuple[str, int]]:
    """Of `host:port`, or of URLs, comma separated.

    >>> addresses("a:1,[::1]:2"), addresses("https://b:9200,wss://b")
    ([('a', 1), ('::1', 2)], [('b', 9200), ('b', 443)])
    """
    parts = [urlsplit(part if "//" in part else f"//{part}") for part in text.split(",")]
    return [(str(part.hostname), part.port or (443 if part.scheme in ("https", "wss") else 80)) for part in parts]


def _problem(host: str, port: int, security: Security) -> str | None:
    tls = context(security)
    try:
        connection = socket.create_connection((host, port), PROBE_SECONDS)
    except OSError:
        return None
    with connection:
        if tls is None:
            return _expects_tls(connection, host, port, security)
        return _handshake(connection, tls, host, port, security)


def _handshake(connection: socket.socket, tls: ssl.SSLContext, host: str, port: int, security: Security) -> str | None:
    try:
        wrapped = tls.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return f"{host}:{port} has a certificate that is not accepted: {_fault(error, host, security)}"
    except ssl.SSLError as error:
        return _refused(error, host, port, security)
    except OSError:
        return _plain(host, port, security)
    with wrapped, suppress(TimeoutError, ConnectionError):
        wrapped.settimeout(_ANSWER_SECONDS)
        try:
            wrapped.recv(1)
        except ssl.SSLError as error:
            return _refused(error, host, port, security) if "ALERT" in (error.reason or "") else None
    return None


def _fault(error: ssl.SSLCertVerificationError, host: str, security: Security) -> str:
    match error.verify_code:
        case 10:  # OpenSSL's numbers
            return "it, or its authority's, has expired"
        case 9:
            return "it is not valid yet; is a clock wrong?"
        case 62 | 64:
            return f"it is not of {host}, but of another name; use a name of it in the settings"
    return f"{security.named('ca')} = {security.ca} does not know who signed it ({error.verify_message})"


def _refused(error: ssl.SSLError, host: str, port: int, security: Security) -> str | None:
    reason = (error.reason or "").lower().replace("_", " ")
    if "alert" not in reason:
        return _plain(host, port, security)
    said = re.sub(r".*alert ", "", reason)
    if security.certificate is None and ("certificate" in said or "handshake failure" in said):
        return f"{host}:{port} asks for a certificate of ours: set {security.named('certificate')} and key"
    if security.certificate and ("certificate" in said or "unknown ca" in said):
        return f"{host}:{port} does not accept {security.named('certificate')} = {security.certificate}: {said}"
    return f"{host}:{port} ended the TLS handshake: {said}"


def _plain(host: str, port: int, security: Security) -> str:
    return f"{host}:{port} does not speak TLS, and {security.named('ca')} says that it should"


def _expects_tls(connection: socket.socket, host: str, port: int, security: Security) -> str | None:
    """One that does answers a handshake, if only to ask for a certificate."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        with anyone.wrap_socket(connection, server_hostname=host):
            speaks = True
    except ssl.SSLError as error:
        speaks = "ALERT" in (error.reason or "")
    except OSError:
        speaks = False
    return f"{host}:{port} speaks TLS: set {security.named('ca')}" if speaks else None
