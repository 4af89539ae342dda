"""Certificates as Java's key stores: Storm reads no PEM."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import PrivateFormat, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificates

from oda.cluster.certificates import write_private

PASSWORD = "not-a-secret"
"""Java wants one for each store; what protects a key is the mode of its file."""

_ENCRYPTION = (
    PrivateFormat.PKCS12.encryption_builder()
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(SHA256())
    .kdf_rounds(1)
    .build(PASSWORD.encode())
)
"""One round, as no password is to be guessed. ZooKeeper's client reads both stores anew for each connection: with the
usual 20,000 that is 0.1 s of a core, and where many come back at once to full cores, none has its connection within the
time that it is given."""


def write_keystores(certificates: Path, folder: Path) -> None:
    """Write `server.p12`, and, of whose certificates are accepted, `trust.p12` (servers') and `people.p12`.

    Args:
        certificates: has server.key, server.pem, ca.pem and people.pem.
        folder: where to; the files are only for their owner.
    """
    own, *between = load_pem_x509_certificates((certificates / "server.pem").read_bytes())
    key = load_pem_private_key((certificates / "server.key").read_bytes(), None)
    # Of the kinds of keys that PEM may hold, those that no certificate can have are not in PKCS 12 either.
    server = pkcs12.serialize_key_and_certificates(b"server", key, own, between, _ENCRYPTION)  # type: ignore[arg-type]
    write_private(folder / "server.p12", server)
    for store, pem in {"trust.p12": "ca.pem", "people.p12": "people.pem"}.items():
        authorities = load_pem_x509_certificates((certificates / pem).read_bytes())
        trusted = [pkcs12.PKCS12Certificate(one, f"ca-{n}".encode()) for n, one in enumerate(authorities)]
        write_private(folder / store, pkcs12.serialize_java_truststore(trusted, _ENCRYPTION))
