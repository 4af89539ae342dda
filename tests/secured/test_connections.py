"""One line says why there is no connection."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oda.cluster.certificates import Authority
from secured.servers import KINDS, Servers, address_of, reach, why
from support import free_port, secret


@pytest.mark.parametrize("kind", KINDS)
class TestOneLineSaysWhy:
    def test_nothing_when_all_is_well(self, servers: Servers, kind: str) -> None:
        reach(kind, servers.settings())

    def test_a_wrong_password(self, servers: Servers, kind: str, tmp_path: Path) -> None:
        line = why(kind, servers.settings(**{f"{kind}__security__password_file": secret(tmp_path, "wrong")}))
        assert f"does not accept oda.{kind}.security.user = admin with the password of password_file" in line
        assert "wrong-secret" not in line

    def test_no_account(self, servers: Servers, kind: str) -> None:
        without = {f"{kind}__security__user": None, f"{kind}__security__password_file": None}
        assert "asks for an account" in (line := why(kind, servers.settings(**without)))
        assert f"set oda.{kind}.security.user" in line

    def test_an_unknown_authority(self, servers: Servers, kind: str, tmp_path: Path) -> None:
        other = Authority(tmp_path, "other").pem
        assert f"oda.{kind}.security.ca = {other} does not know who signed it" in why(
            kind, servers.settings(**{f"{kind}__security__ca": other})
        )

    def test_another_host_name(self, servers: Servers, kind: str) -> None:
        settings = servers.settings()
        address = {"kafka": settings.kafka.brokers, "cassandra": settings.cassandra.hosts}.get(
            kind, settings.elasticsearch.urls
        )
        other = "localhost" if kind == "cassandra" else "0.0.0.0"
        named = servers.settings(**{address_of(kind): address.replace("127.0.0.1", other)})
        if kind == "cassandra":  # whose driver looks names up, and goes by addresses
            reach(kind, named)
            return
        assert "it is not of 0.0.0.0, but of another name" in why(kind, named)

    def test_an_expired_certificate(self, servers: Servers, kind: str, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        certificate = authority.sign("old", days=-1)
        with listener(certificate) as port:
            line = why(kind, servers.settings(**at(kind, port), **{f"{kind}__security__ca": authority.pem}))
        assert "has expired" in line

    def test_tls_against_plaintext(self, servers: Servers, kind: str) -> None:
        with listener(None) as port:
            line = why(kind, servers.settings(**at(kind, port)))
        assert f"does not speak TLS, and oda.{kind}.security.ca says that it should" in line

    def test_plaintext_against_tls(self, servers: Servers, kind: str) -> None:
        settings = servers.settings()
        plain = {f"{kind}__security__{name}": None for name in ("ca", "user", "password_file")}
        if kind == "elasticsearch":
            plain["elasticsearch__urls"] = settings.elasticsearch.urls.replace("https", "http")
        assert f"speaks TLS: set oda.{kind}.security.ca" in why(kind, servers.settings(**plain))

    def test_a_password_file_that_is_not_there(self, servers: Servers, kind: str, tmp_path: Path) -> None:
        line = why(kind, servers.settings(**{f"{kind}__security__password_file": tmp_path / "none"}))
        assert f"oda.{kind}.security.password_file" in line

    def test_a_server_that_is_away(self, servers: Servers, kind: str) -> None:
        line = why(kind, servers.settings(**at(kind, free_port()))) if kind != "cassandra" else ""
        assert "security" not in line


def at(kind: str, port: int) -> dict[str, str]:
    return {address_of(kind): f"{'https://' if kind == 'elasticsearch' else ''}127.0.0.1:{port}"}


@contextmanager
def listener(certificate: Path | None) -> Iterator[int]:
    """A server that has this certificate, or that, without one, ends a connection at which it sees no sense."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            if certificate:
                tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        if certificate:
                            tls.wrap_socket(connection, server_side=True).close()
                        else:
                            connection.recv(1024)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_mechanism_that_the_broker_does_not_know(servers: Servers) -> None:
    line = why("kafka", servers.settings(kafka__security__mechanism="SCRAM-SHA-256"))
    assert "oda.kafka.security.mechanism = SCRAM-SHA-256" in line


def test_a_data_centre_that_is_none(servers: Servers) -> None:
    line = why("cassandra", servers.settings(cassandra__datacenter="elsewhere"))
    assert "oda.cassandra.datacenter = elsewhere is none of its data centres (datacenter1)" in line
