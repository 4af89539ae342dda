"""Servers that ask for TLS and accounts: one line says what is wrong, and each role can do its own and no more."""

import json
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cassandra import Unauthorized
from cassandra.cluster import NoHostAvailable, Session
from elasticsearch import AuthorizationException
from kafka import TopicPartition
from kafka.admin import UserScramCredentialUpsertion
from kafka.errors import AuthorizationError

from oda.admin import printed
from oda.admin.rights import ROLES
from oda.cluster.elasticsearch import hashed
from oda.collect.producer import Producer
from oda.core.kinds import WINDOWS
from oda.errors import UserError
from oda.kafka import account, client
from oda.kafka.clock import ClockWriter
from oda.kafka.group import Group
from oda.kafka.reader import reader
from oda.kafka.source import KafkaSource
from oda.kafka.topics import create_topics, list_topics
from oda.settings import Settings, StormSecurity, load_options
from oda.stores.cassandra import CassandraStore
from oda.stores.catalogue import STORES
from oda.stores.contract import Store
from oda.stores.elasticsearch import ElasticsearchStore, connect
from oda.stores.session import open_session
from oda.storm.rest import RestApi
from secured import KINDS, Authority, as_user, running, secret, secured
from support import Cluster, free_port, wait_until


@dataclass(frozen=True)
class Servers:
    """Those that run; `folder` has their certificates and passwords."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def ca(self) -> Path:
        return self.folder / "pki/ca.pem"

    def settings(self, **changes: object) -> Settings:
        """The administrator's, with changes: `kafka__brokers=...`; None leaves one out."""
        options = load_options(self.config, "local")
        options |= {f"oda.{name.replace('__', '.')}": str(value) for name, value in changes.items() if value}
        return Settings.from_options(
            {name: value for name, value in options.items() if changes.get(name[4:].replace(".", "__"), "") is not None}
        )

    def role(self, role: str) -> Settings:
        """As one of the roles that `roles` made."""
        user = f"oda-{role}"
        changes = {f"{kind}__security__user": user for kind in KINDS}
        return self.settings(
            **changes, **{f"{kind}__security__password_file": self.folder / "passwords" / user for kind in KINDS}
        )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """ODA_TEST_SECURED names the folder of some that run, to use them instead."""
    if there := os.environ.get("ODA_TEST_SECURED"):
        yield Servers(Path(there))
        return
    folder = tmp_path_factory.mktemp("secured")
    with running(secured(folder)):
        yield Servers(folder)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is said why there is no connection."""
    monkeypatch.setattr(client, "CONNECT_MS", 3_000)


def reach(kind: str, settings: Settings) -> None:
    """Ask one kind of server for something."""
    match kind:
        case "kafka":
            client.admin(settings.kafka).close()
        case "cassandra":
            open_session(settings.cassandra).cluster.shutdown()
        case _:
            list(ElasticsearchStore(settings).recent(WINDOWS, "s", 0, 1))


def address_of(kind: str) -> str:
    return {"kafka": "kafka__brokers", "cassandra": "cassandra__hosts", "elasticsearch": "elasticsearch__urls"}[kind]


def why(kind: str, settings: Settings) -> str:
    with pytest.raises(UserError) as error:
        reach(kind, settings)
    (line,) = str(error.value).splitlines()
    assert "admin-secret" not in line
    return line


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
        named = servers.settings(**{address_of(kind): address.replace("127.0.0.1", "localhost")})
        if kind == "cassandra":  # whose driver looks names up, and goes by addresses
            reach(kind, named)
            return
        assert "it is not of localhost, but of another name" in why(kind, named)

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


# -- roles ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def roles(servers: Servers) -> Servers:
    """With all that `oda admin` makes."""
    passwords = servers.folder / "passwords"
    passwords.mkdir(exist_ok=True)
    for role in ROLES:
        (passwords / f"oda-{role}").write_text(f"oda-{role}-secret\n")
    users = [word for role in ROLES for word in ("--user", f"{role}=oda-{role}")]
    done = Cluster(servers.config).oda("admin", *users, "--passwords", passwords, check=False)
    assert "Kafka: done\nCassandra: done\n" in done.stdout, done.stdout + done.stderr
    # This distribution of Elasticsearch has no API of users, and `oda admin` says so.
    assert done.returncode == 1
    assert "`oda admin --print` has roles.yml" in done.stdout
    conf = servers.folder / "data/elasticsearch/conf"
    (conf / "roles.yml").write_text(printed.roles_yml(servers.settings()))
    lines = [f"admin:{hashed('admin-secret')}", *(f"oda-{role}:{hashed(f'oda-{role}-secret')}" for role in ROLES)]
    (conf / "users_roles").write_text("superuser:admin\n" + "".join(f"oda-{role}:oda-{role}\n" for role in ROLES))
    (conf / "users").write_text("\n".join(lines) + "\n")
    wait_until(lambda: _lets_in(servers.role("auditor")), "Elasticsearch did not read its files of users")
    return servers


def _lets_in(settings: Settings) -> bool:
    try:
        reach("elasticsearch", settings)
    except UserError:
        return False
    return True


def sends(settings: Settings, topic: str) -> bool:
    with closing(client.producer(settings.kafka, max_block_ms=5_000)) as producer:
        try:
            producer.send(topic, b"{}", key=b"k", partition=0).get(30)
        except AuthorizationError:
            return False
    return True


def reads(settings: Settings, topic: str, group: str | None = None) -> bool:
    options = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with closing(client.consumer(settings.kafka, **options)) as consumer:
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        try:
            consumer.poll(3_000)
            if group:
                consumer.commit(timeout_ms=10_000)
        except AuthorizationError:
            return False
    return True


def commits(settings: Settings, group: str) -> bool:
    return reads(settings, settings.kafka.readings, group)


def runs(settings: Settings, *statements: str) -> list[bool]:
    """Which of the statements Cassandra lets the account run."""
    found = []
    session = open_session(settings.cassandra)
    with session.cluster:
        for statement in statements:
            try:
                session.execute(statement)
                found.append(True)
            except Unauthorized:
                found.append(False)
    return found


def test_the_topology_reads_readings_and_writes_results_and_no_more(roles: Servers) -> None:
    settings = roles.role("topology")
    kafka = settings.kafka
    create_topics(kafka)  # sees that all are there
    assert [sends(settings, topic) for topic in (kafka.windows, kafka.incidents, kafka.readings)] == [True] * 3
    assert [sends(settings, topic) for topic in (kafka.rules, kafka.verdicts, kafka.audits)] == [False] * 3
    assert commits(settings, kafka.group)
    assert not commits(settings, "another")
    assert runs(
        settings,
        f"SELECT * FROM {settings.cassandra.keyspace}.windows LIMIT 1",
        f"INSERT INTO {settings.cassandra.keyspace}.topics (topic, id) VALUES ('t', uuid()) IF NOT EXISTS",
        f"DROP TABLE {settings.cassandra.keyspace}.windows",
        f"CREATE TABLE {settings.cassandra.keyspace}.more (a int PRIMARY KEY)",
        "CREATE ROLE another",
    ) == [True, True, False, False, False]


def test_the_topologys_stores_open_without_a_right_to_alter_them(roles: Servers) -> None:
    settings = roles.role("topology")
    with closing(ElasticsearchStore(settings)) as store:
        store.migrate()
        assert "may not alter templates" in store.notes[0]
    with connect(settings.elasticsearch) as elastic:
        elastic.index(index="oda-windows-0", id="x", document={"topic": "t"})
        with pytest.raises(AuthorizationException):
            elastic.index(index="another", document={})
        with pytest.raises(AuthorizationException):
            elastic.indices.delete(index="oda-windows-0")


def test_the_topologys_own_parts_start_and_work_with_its_rights(roles: Servers) -> None:
    settings = roles.role("topology")
    for store in STORES:
        with closing(store.open(settings)) as opened:
            opened.migrate()
    assert sends(roles.role("collector"), settings.kafka.readings)
    source = KafkaSource(settings, settings.kafka.readings, 0, 1, logging.getLogger("test"))
    with closing(source._consumer):
        found = wait_until(lambda: source.new_partitions(set()), "no partition was taken on")
        wait_until(lambda: 0 in source.poll(1_000, False), "nothing was read")
        assert source.commit(found)
        ClockWriter(settings.kafka).write(0, 0, {"s": 0}, [])
        Group(roles.role("auditor").kafka).committed()


def test_without_templates_a_topology_that_may_not_make_them_writes_nothing(roles: Servers) -> None:
    with connect(roles.settings().elasticsearch) as elastic:
        elastic.indices.delete(index="oda-anomalies-0")
    with (
        closing(ElasticsearchStore(roles.role("topology"))) as store,
        pytest.raises(UserError, match="run `oda admin`"),
    ):
        store.migrate()
    with closing(ElasticsearchStore(roles.settings())) as store:
        store.make()


def test_a_collector_sees_its_own_topic_only(roles: Servers, tmp_path: Path) -> None:
    settings = roles.role("collector")
    kafka = settings.kafka
    assert list_topics(kafka) == [kafka.readings]
    with pytest.raises(UserError, match=r"oda\.kafka\.security\.user = oda-collector may not use it"):
        create_topics(kafka)
    assert sends(settings, kafka.readings)
    assert not sends(settings, kafka.windows)
    assert not commits(settings, kafka.group)
    options = load_options(roles.config, "local")
    mine = as_user(options, Authority(tmp_path), "oda-collector", roles.folder / "passwords/oda-collector")
    document = json.loads(roles.config.read_text())
    document["envs"]["local"]["options"] = mine | {f"oda.{kind}.security.ca": str(roles.ca) for kind in KINDS}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(document))
    done = Cluster(config).oda("collect", "walk", "--seconds", "2")
    assert "readings acknowledged by Kafka" in done.stdout


def test_a_reader_reads_everything_and_writes_verdicts_only(roles: Servers) -> None:
    settings = roles.role("reader")
    kafka = settings.kafka
    create_topics(kafka)
    assert all(reads(settings, topic) for topic in (kafka.readings, kafka.anomalies, kafka.rules, kafka.audits))
    assert [sends(settings, topic) for topic in (kafka.verdicts, kafka.readings, kafka.rules)] == [True, False, False]
    assert commits(settings, f"{kafka.group}.notify.mail")
    assert not commits(settings, kafka.group)
    keyspace = settings.cassandra.keyspace
    statements = f"SELECT * FROM {keyspace}.windows LIMIT 1", f"TRUNCATE {keyspace}.windows"
    assert runs(settings, *statements) == [True, False]
    with connect(settings.elasticsearch) as elastic:
        elastic.search(index="oda-windows-*")
        with pytest.raises(AuthorizationException):
            elastic.index(index="oda-windows-0", document={"topic": "t"})


def test_an_auditor_reads_everything_and_writes_audits_only(roles: Servers) -> None:
    settings = roles.role("auditor")
    kafka = settings.kafka
    create_topics(kafka)
    assert all(reads(settings, topic) for topic in (kafka.readings, kafka.bands, kafka.rejected))
    assert [sends(settings, topic) for topic in (kafka.audits, kafka.verdicts)] == [True, False]
    with closing(client.consumer(kafka, group_id=kafka.group)) as consumer:
        consumer.committed(TopicPartition(kafka.readings, 0))
    assert not commits(settings, kafka.group)
    keyspace = settings.cassandra.keyspace
    insert = f"INSERT INTO {keyspace}.topics (topic, id) VALUES ('t', uuid())"
    assert runs(settings, f"SELECT * FROM {keyspace}.readings LIMIT 1", insert) == [True, False]


def test_a_right_that_is_missing_is_one_line_too(roles: Servers) -> None:
    collector, looker = roles.role("collector"), roles.role("reader")
    windows = collector.kafka.windows

    def write() -> None:
        with Producer(collector.kafka, windows) as producer:
            producer.send(b"{}")

    def read() -> None:
        with reader(collector.kafka, [windows], from_beginning=True):
            pass

    def alter(store: Store) -> None:
        with closing(store):
            store.drop()

    tries = {
        "oda.kafka.security.user = oda-collector": (write, read),
        "oda.cassandra.security.user = oda-reader": (lambda: alter(CassandraStore(looker)),),
        "oda.elasticsearch.security.user = oda-reader": (lambda: alter(ElasticsearchStore(looker)),),
    }
    for account_, attempts in tries.items():
        for attempt in attempts:
            with pytest.raises(UserError) as error:
                attempt()
            assert len(str(error.value).splitlines()) == 1
            assert f"{account_} lacks a right" in str(error.value)
            assert "`oda admin`" in str(error.value)


def test_what_is_printed_holds_no_password(roles: Servers) -> None:
    done = Cluster(roles.config).oda("admin", "--user", "topology=oda-topology", "--print")
    assert "kafka-acls.sh" in done.stdout
    assert 'GRANT MODIFY ON KEYSPACE oda TO "oda-topology";' in done.stdout
    assert "-secret" not in done.stdout


# -- rotation ---------------------------------------------------------------------------------------


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
