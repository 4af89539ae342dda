"""The sections `oda.*.security`: what they may say, that no secret is shown, and what TLS makes of them."""

import logging
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, create_server

import pytest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest

from oda.cluster.certificates import Authority
from oda.cluster.java import find_jdk
from oda.cluster.keystores import PASSWORD, write_keystores
from oda.errors import UserError
from oda.kafka.account import options
from oda.security import context, tls_problem
from oda.settings import KafkaSecurity, Settings, SettingsError, StormSecurity
from support import secret

NEEDED = {"oda.kafka.brokers": "a:1", "oda.cassandra.hosts": "a:1", "oda.elasticsearch.urls": "http://a:1"}
CA = {"oda.kafka.security.ca": "/ca.pem"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"oda.kafka.security.password": "hunter2"}, "must not be among the options, since Storm shows them to anyone"),
        ({"oda.cassandra.security.password": "hunter2"}, "name a file in password_file"),
        ({"oda.kafka.security": "hunter2"}, "oda.kafka.security"),
        ({"oda.elasticsearch.urls": "https://u:hunter2@a:9200"}, "must not hold an account"),
        ({"oda.kafka.security.user": "u", **CA}, "user needs one of password_file and password_env"),
        ({"oda.kafka.security.password_file": "/p", **CA}, "they need a user"),
        ({"oda.kafka.security.user": "u", "oda.kafka.security.password_file": "/p"}, "ca is missing"),
        ({"oda.kafka.security.certificate": "/c", **CA}, "certificate and key go together"),
        ({"oda.kafka.security.ca": "ca.pem"}, "must be an absolute path"),
        ({"oda.kafka.security.mechanism": "GSSAPI"}, "oda.kafka.security.mechanism"),
        ({"oda.kafka.security.passwort": "hunter2"}, "there is no such setting"),
        ({"oda.elasticsearch.security.ca": "system"}, "urls must be https"),
        ({"oda.elasticsearch.urls": "https://a:1"}, "urls must be https"),
    ],
)
def test_what_a_section_may_not_say_and_no_secret_is_shown(given: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_options(NEEDED | given)
    assert reason in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_section_may_be_written_as_names_or_as_an_object() -> None:
    names = {"oda.kafka.security.ca": "system", "oda.kafka.security.user": "u", "oda.kafka.security.password_env": "P"}
    whole = {"oda.kafka.security": {"ca": "system", "user": "u", "password_env": "P"}}
    assert Settings.from_options(NEEDED | names) == Settings.from_options(NEEDED | whole)


def test_a_password_is_in_no_log_whatever_its_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parser = KafkaProtocol(client_id="oda")
    request = SaslAuthenticateRequest(b"\0u\0hunter2")
    request.API_VERSION = 1
    parser.send_request(request)
    assert b"hunter2" in parser.send_bytes()
    assert "hunter2" not in caplog.text


def test_without_a_section_nothing_is_encrypted() -> None:
    assert options(KafkaSecurity()) == {}
    assert context(StormSecurity()) is None


def test_a_password_from_the_environment_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    security = KafkaSecurity(ca="system", user="u", password_env="ODA_TEST_PASSWORD")
    with pytest.raises(UserError, match=r"oda\.kafka\.security\.password_env"):
        options(security)
    monkeypatch.setenv("ODA_TEST_PASSWORD", "first")
    read = options(security)["sasl_plain_password"]
    monkeypatch.setenv("ODA_TEST_PASSWORD", "second")
    assert read() == "second"


@contextmanager
def asking_for_certificates(authority: Authority) -> Iterator[int]:
    """A server that lets in who has a certificate of the authority; says a byte then."""
    certificate = authority.sign("server")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pem)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    tls.verify_mode = ssl.CERT_REQUIRED
    with create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    with tls.wrap_socket(connection, server_side=True) as wrapped:
                        wrapped.sendall(b"x")
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_server_that_asks_for_certificates(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    ours, others = authority.sign("ours"), stranger.sign("others")

    def section(certificate: Path | None) -> StormSecurity:
        key = str(certificate.with_suffix(".key")) if certificate else None
        return StormSecurity(ca=str(authority.pem), certificate=str(certificate) if certificate else None, key=key)

    with asking_for_certificates(authority) as port:
        at = [("127.0.0.1", port)]
        assert tls_problem(at, section(ours)) is None
        assert "asks for a certificate of ours: set oda.storm.security.certificate" in str(
            tls_problem(at, section(None))
        )
        assert "does not accept oda.storm.security.certificate" in str(tls_problem(at, section(others)))
        plain = str(tls_problem(at, StormSecurity()))
        assert plain.endswith("speaks TLS: set oda.storm.security.ca")


def test_certificates_that_are_changed_hold_from_the_next_connection_on(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    ours = authority.sign("ours")
    ca = tmp_path / "trusted.pem"
    ca.write_text(stranger.pem.read_text())
    security = StormSecurity(ca=str(ca), certificate=str(ours), key=str(ours.with_suffix(".key")))
    tls = context(security)
    assert tls is not None
    with asking_for_certificates(authority) as port:
        with create_connection(("127.0.0.1", port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
            tls.wrap_socket(raw, server_hostname="127.0.0.1")
        ca.write_text(authority.pem.read_text())
        with (
            create_connection(("127.0.0.1", port)) as raw,
            tls.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
        ):
            assert wrapped.recv(1) == b"x"


def test_files_that_can_not_be_used_name_their_setting(tmp_path: Path) -> None:
    ours = Authority(tmp_path).sign("ours")
    key = tmp_path / "locked.key"
    lock = ["openssl", "rsa", "-aes256", "-passout", "pass:hunter2", "-in", str(ours.with_suffix(".key"))]
    subprocess.run([*lock, "-out", str(key)], check=True, capture_output=True)
    ca = str(tmp_path / "ca.pem")
    for section, setting in (
        (StormSecurity(ca=str(tmp_path / "none.pem")), "oda.storm.security.ca"),
        (StormSecurity(ca=str(secret(tmp_path, "text"))), "oda.storm.security.ca"),
        (StormSecurity(ca=ca, certificate=str(ours), key=str(key)), "must not be encrypted"),
        (StormSecurity(ca=ca, certificate=str(ours), key=ca), "oda.storm.security.certificate"),
    ):
        with pytest.raises(UserError, match=setting.replace(".", r"\.")):
            context(section)


_PBKDF2 = re.compile(rb"(?s)\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c\x30.\x04\x10.{16}\x02.(.+?)\x30\x0c\x06")
"""How a key is derived (RFC 8018, A.2): its name, the salt of 16 bytes, how many rounds, and the hash."""


def test_key_stores_that_storm_reads_hold_who_one_is_and_who_is_trusted(tmp_path: Path) -> None:
    """`keytool` says what Java sees in them; only their owner sees it."""
    certificates, stores = tmp_path / "pki", tmp_path / "stores"
    Authority(certificates).sign("server")
    Authority(certificates, "people")
    stores.mkdir()
    write_keystores(certificates, stores)
    found = {}
    for file in stores.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        listed = [find_jdk() / "bin/keytool", "-list", "-v", "-keystore", file, "-storepass", PASSWORD]
        text = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
        found[file.name] = set(re.findall(r"Entry type: (\w+)|Owner: CN=(\w+)", text))
        assert set(_PBKDF2.findall(file.read_bytes())) == {b"\x01"}, "ZooKeeper's client reads it for each connection"
    assert found == {
        "server.p12": {("PrivateKeyEntry", ""), ("", "server")},
        "trust.p12": {("trustedCertEntry", ""), ("", "ca")},
        "people.p12": {("trustedCertEntry", ""), ("", "people")},
    }
