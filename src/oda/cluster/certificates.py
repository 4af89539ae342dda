"""Certificates of servers of one's own: an authority, a key a machine.

What servers show each other is signed by `ca.pem`, and may do all that servers do; what people show Storm's UI is
signed by `people.pem`. All is made once, and what is there stays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OWN_ADDRESS = "127.0.0.1"

_DAYS = 825


class Authority:
    """A certificate authority: `NAME.pem` and `NAME.key` in a folder, made if they are not there."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.pem = folder, folder / f"{name}.pem"
        key = folder / f"{name}.key"
        if not self.pem.exists():
            self._make(name, key)
        self._key = load_pem_private_key(key.read_bytes(), None)
        self._certificate = x509.load_pem_x509_certificate(self.pem.read_bytes())

    def sign(
        self,
        name: str,
        hosts: Sequence[str] = (OWN_ADDRESS, "localhost"),
        folder: Path | None = None,
        days: int = _DAYS,
    ) -> Path:
        """Make `NAME.pem`, `NAME.key` and `NAME.chain.pem` (key, certificate, authority); returns the first.

        Args:
            name: also the certificate's common name.
            hosts: names and addresses that it is of.
            folder: where to; by default the authority's own.
            days: how long it is good; with a negative number it is over.
        """
        folder = folder or self.folder
        folder.mkdir(parents=True, exist_ok=True)
        key = _new_key()
        builder = _builder(name, self._certificate.subject, key, days)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(_name, hosts)]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]
        path = folder / f"{name}.pem"
        write_private(folder / f"{name}.key", _pem(key))
        write_private(folder / f"{name}.chain.pem", _pem(key) + certificate + self.pem.read_bytes())
        path.write_bytes(certificate)
        return path

    def _make(self, name: str, file: Path) -> None:
        key = _new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(name, subject, key, 10 * 365)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        write_private(file, _pem(key))
        self.pem.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def make_certificates(folder: Path, machines: Mapping[str, Sequence[str]]) -> None:
    """Whatever is missing: both authorities, a person's certificate (`person.pem`), and a folder a machine.

    Args:
        folder: where to.
        machines: by the name of its folder, the names and addresses that its certificate is of.
    """
    servers, people = Authority(folder), Authority(folder, "people")
    if not (folder / "person.pem").exists():
        people.sign("person")
    for name, hosts in machines.items():
        if not (folder / name / "server.pem").exists():
            servers.sign("server", hosts, folder / name)
            for authority in (servers, people):
                (folder / name / authority.pem.name).write_bytes(authority.pem.read_bytes())


def write_private(file: Path, content: bytes) -> None:
    """A file that nobody else may read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        output.write(content)


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(name: str, issuer: x509.Name, key: rsa.RSAPrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - timedelta(days=1))
        .not_valid_after(end)
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
