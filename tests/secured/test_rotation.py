"""Passwords are read anew: one that is changed needs no restart."""

import ssl
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cassandra.cluster import NoHostAvailable, Session
from kafka.admin import UserScramCredentialUpsertion

from oda.cluster.certificates import Authority
from oda.collect.producer import Producer
from oda.errors import UserError
from oda.kafka import account, client
from oda.settings import StormSecurity
from oda.stores.session import open_session
from oda.storm.rest import RestApi
from secured.servers import Servers, reach
from support import HANG_SECONDS, secret, wait_until


def test_a_password_that_is_changed_holds_from_the_next_connection_on(servers: Servers, tmp_path: Path) -> None:
    path = secret(tmp_path, "turning")
    changes = {f"{kind}__security__user": "turning" for kind in ("kafka", "cassandra")}
    changes |= {f"{kind}__security__password_file": path for kind in ("kafka", "cassandra")}
    settings, boss = servers.settings(**changes), servers.settings()
    session = open_session(boss.cassandra)
    with closing(client.admin(boss.kafka)) as admin, session.cluster:

        def change(word: str) -> None:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion("turning", "SCRAM-SHA-512", word)])
            session.execute("CREATE ROLE IF NOT EXISTS turning WITH LOGIN = true")
            wait_until(lambda: _altered(session, word), "Cassandra takes no new password")  # only one in 5 s
            path.write_text(word)

        change("first")
        wait_until(lambda: account.problem(settings.kafka) is None, "the broker does not know the new account")
        user = open_session(settings.cassandra)
        with closing(client.admin(settings.kafka)) as mine, user.cluster:
            change("second")
            wait_until(lambda: account.problem(settings.kafka) is None, "the broker does not know the new password")
            for connection in list(mine._manager._conns.values()):
                connection.close()
            mine.list_topics()
            user.cluster.control_connection.reconnect()
            wait_until(lambda: user.cluster.control_connection._connection, "Cassandra was not reached again")
            reach("cassandra", settings)


def test_a_collector_that_is_refused_goes_on_when_its_file_has_the_new_password(
    roles: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, former = tmp_path / "password", roles.password("collector").read_text().strip()
    path.write_text(former)
    settings = roles.settings(kafka__security__user="oda-collector", kafka__security__password_file=path)
    with closing(client.admin(roles.settings().kafka)) as admin:

        def change(word: str) -> None:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion("oda-collector", "SCRAM-SHA-512", word)])

        with Producer(settings.kafka, settings.kafka.readings) as producer:
            try:
                producer.send(b"before")
                producer.settle(HANG_SECONDS)
                change("another")
                wait_until(lambda: account.problem(settings.kafka), "the broker lets the former password in")
                network = producer._client._sender._client
                for connection in list(network._manager._conns.values()):
                    network._net.call_soon_threadsafe(connection.close)
                producer.send(b"after")
                wait_until(lambda: "SaslAuthenticationFailedError" in caplog.text, "it was not refused")
                path.write_text("another")
                producer.settle(HANG_SECONDS)
            finally:
                change(former)
            assert producer.acknowledged == 2


def _altered(session: Session, word: str) -> bool:
    try:
        session.execute(f"ALTER ROLE turning WITH PASSWORD = '{word}'")
    except NoHostAvailable:
        return False
    return True


def test_storms_ui_by_tls_with_an_account(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = authority.sign("ui")
    seen = []

    class Ui(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Ui) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        password = secret(tmp_path, "ui")
        security = StormSecurity(ca=str(authority.pem), user="u", password_file=str(password))
        RestApi("127.0.0.1", server.server_port, security).ask("cluster/summary")
        password.write_text("another")
        RestApi("127.0.0.1", server.server_port, security).ask("cluster/summary")
        other = StormSecurity(ca=str(Authority(tmp_path / "other", "other").pem))
        with pytest.raises(UserError, match=r"oda\.storm\.security\.ca"):
            RestApi("127.0.0.1", server.server_port, other).ask("cluster/summary")
        server.shutdown()
    assert len(set(seen)) == 2
