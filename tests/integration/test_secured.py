"""Servers that ask for TLS and accounts: one line says what is wrong, and each role can do its own and no more."""

import csv
import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from cassandra import Unauthorized
from cassandra.cluster import NoHostAvailable, Session
from elasticsearch import AuthorizationException
from kafka import TopicPartition
from kafka.admin import UserScramCredentialUpsertion
from kafka.errors import AuthorizationError

from oda.admin import printed
from oda.admin.rights import ROLES
from oda.cluster.elasticsearch import hashed
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.collect.producer import Producer
from oda.core.kinds import WINDOWS
from oda.errors import UserError
from oda.isolated import isolated
from oda.kafka import account, client
from oda.kafka.clock import ClockWriter
from oda.kafka.group import Group
from oda.kafka.reader import reader
from oda.kafka.source import KafkaSource
from oda.kafka.topics import create_topics, list_topics
from oda.paths import BIN, ROOT
from oda.security import tls_problem
from oda.settings import Settings, StormSecurity, load_options
from oda.stores.cassandra import CassandraStore
from oda.stores.catalogue import STORES
from oda.stores.contract import Store
from oda.stores.elasticsearch import ElasticsearchStore, connect
from oda.stores.session import open_session
from oda.storm.rest import RestApi
from oda.storm.sparse import ENVIRONMENT
from receivers import Hook
from secured import KINDS, Authority, as_user, running, secret, secured
from ssh import sshd
from support import ENV, HANG_SECONDS, HEARS_CTRL_C, Cluster, free_port, wait_until


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

    @property
    def certificate(self) -> Path:
        """Of the servers."""
        return self.folder / "pki/server.pem"

    def listener(self, name: str) -> str:
        """Where the broker has it."""
        properties = (self.folder / "data/kafka-1/conf/server.properties").read_text()
        return re.search(rf"{name}://([^,\s]+)", properties)[1]

    def role(self, role: str) -> Settings:
        """As one of the roles that `roles` made."""
        changes = {f"{kind}__security__user": f"oda-{role}" for kind in KINDS}
        return self.settings(**changes, **{f"{kind}__security__password_file": self.password(role) for kind in KINDS})

    def password(self, role: str) -> Path:
        """The file of its account's."""
        return self.folder / "passwords" / f"oda-{role}"

    def make(self, config: Path, *arguments: object) -> None:
        """All that `oda admin` makes for what a config.json names, and what it can't make in this Elasticsearch."""
        users = [word for role in ROLES for word in ("--user", f"{role}=oda-{role}")]
        done = Cluster(config).oda("admin", *users, *arguments, check=False)
        assert "Kafka: done\nCassandra: done\n" in done.stdout, done.stdout + done.stderr
        # This distribution of Elasticsearch has no API of users, and `oda admin` says so.
        assert done.returncode == 1
        assert "`oda admin --print` has roles.yml" in done.stdout
        conf, settings = self.folder / "data/elasticsearch/conf", Cluster(config).settings
        with (conf / "roles.yml").open("a") as roles, (conf / "users_roles").open("a") as users_roles:
            roles.write(printed.roles_yml(settings))
            users_roles.writelines(f"{settings.elasticsearch.prefix}-{role}:oda-{role}\n" for role in ROLES)


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


# -- other ways to say who one is -------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_another_mechanism_and_a_certificate_besides(
    servers: Servers, mechanism: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(client.admin(servers.settings().kafka)) as admin:
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion("plain", "SCRAM-SHA-256", "plain-secret")])
    given = {"brokers": servers.listener("OTHER"), "security__mechanism": mechanism, "security__user": "plain"}
    given |= {"security__certificate": servers.certificate, "security__key": servers.certificate.with_suffix(".key")}
    given |= {"security__password_file": secret(tmp_path, "plain")}

    def settings(**changed: object) -> Settings:
        return servers.settings(**{f"kafka__{name}": value for name, value in (given | changed).items()})

    wait_until(lambda: account.problem(settings().kafka) is None, "the broker does not know the account")
    reach("kafka", settings())
    wrong = settings(security__password_file=secret(tmp_path, "wrong"))
    assert "does not accept oda.kafka.security.user = plain with the password of password_file" in why("kafka", wrong)
    without = settings(security__certificate=None, security__key=None)
    assert "asks for a certificate of ours: set oda.kafka.security.certificate and key" in why("kafka", without)
    assert "plain-secret" not in caplog.text


def test_a_certificate_alone(servers: Servers) -> None:
    given = {"brokers": servers.listener("INTERNAL"), "security__password_file": None, "security__user": None}
    given |= {"security__certificate": servers.certificate, "security__key": servers.certificate.with_suffix(".key")}
    changes = {f"kafka__{name}": value for name, value in given.items()}
    create_topics(servers.settings(**changes).kafka)
    stranger = servers.settings(**changes | {"kafka__security__certificate": None, "kafka__security__key": None})
    assert "asks for a certificate of ours: set oda.kafka.security.certificate and key" in why("kafka", stranger)
    with_account = servers.settings(kafka__brokers=given["brokers"])
    assert "certificate of ours" in why("kafka", with_account)


# -- roles ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def roles(servers: Servers) -> Servers:
    """With all that `oda admin` makes."""
    passwords = servers.folder / "passwords"
    passwords.mkdir(exist_ok=True)
    for role in ROLES:
        servers.password(role).write_text(f"oda-{role}-secret\n")
    with (servers.folder / "data/elasticsearch/conf/users").open("a") as users:
        users.writelines(f"oda-{role}:{hashed(f'oda-{role}-secret')}\n" for role in ROLES)
    servers.make(servers.config, "--passwords", passwords)
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
    document = json.loads(roles.config.read_text())
    document["envs"]["local"]["options"] = as_user(options, roles.ca, "oda-collector", roles.password("collector"))
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


# -- the main job -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def job(roles: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With Storm, a config.json that has an environment for each role. Nimbus is behind an sshd."""
    folder = tmp_path_factory.mktemp("job")
    config = isolated(roles.config, "local", roles.folder, **{"kafka__partitions": 2})
    document = json.loads(config.read_text())
    local = document["envs"]["local"]
    local["options"]["topology.workers"] = 2
    for role in ROLES:
        options = as_user(local["options"], roles.ca, f"oda-{role}", roles.password(role))
        document["envs"][role] = local | {"options": options}
    layout = load_layout(roles.config, "local")
    with sshd(folder, layout.nimbus.ports["nimbus"]) as ssh, pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PATH", f"{ssh.bin}:{ENVIRONMENT['PATH']}")
        topology = document["envs"]["topology"]
        topology |= {"use_ssh_for_nimbus": True, "user": ssh.user, "ssh_port": ssh.port}
        # A supervisor's workers have what is in its environment.
        del topology["options"]["oda.cassandra.security.password_file"]
        topology["options"]["oda.cassandra.security.password_env"] = "ODA_TEST_PASSWORD"
        for environment in (os.environ, ENV):
            patch.setitem(environment, "ODA_TEST_PASSWORD", roles.password("topology").read_text().strip())
        config.write_text(json.dumps(document))
        roles.make(config)
        LocalCluster(layout, install(lambda *_: None)).up(lambda *_: None)
        yield config
        assert f"Accepted publickey for {ssh.user}" in ssh.log.read_text()


def test_the_main_job_by_accounts_that_may_do_no_more_than_their_role(job: Path, tmp_path: Path) -> None:
    administrator, topology, collector, reader, auditor = (Cluster(job, env) for env in ("local", *ROLES))
    (tmp_path / "rules.yaml").write_text("rules: [{series: '*', incident: {quiet: 1m}}]")
    administrator.oda("rules", "apply", tmp_path / "rules.yaml")
    with Hook() as hook, notifying(reader, tmp_path, hook), topology.topology():
        collector.oda("collect", "walk", "--series", 5, "--rate", 500, "--count", 4000, "--spikes", 200)
        auditor.verify()
        wait_until(lambda: hook.told, "nobody was told of an incident")
        with started(reader, "watch", "--from-beginning", stdout=subprocess.PIPE, text=True) as watch:
            wait_until(lambda: "ANOMALY" in watch.stdout.readline(), "no anomaly is shown")
        exported = reader.oda("export", "anomalies", "-", "--since", "2000-01-01T00:00:00Z").stdout
        found = next(csv.DictReader(exported.splitlines()))
        assert "equal to the last bit" in reader.oda("why", found["series"], found["time"]).stdout
        port = free_port()
        with started(reader, "serve", "--port", port, "--topology", reader.settings.kafka.group):
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), "the page is not ready")
            pipeline = requests.get(f"http://127.0.0.1:{port}/api/pipeline", timeout=HANG_SECONDS)
            assert '"ACTIVE"' in pipeline.text
        storm_keeps_out_who_has_no_certificate_for_it(topology)


def test_sparse_run_by_the_topologys_account(job: Path) -> None:
    with Cluster(job, "topology").in_one_process():
        Cluster(job, "collector").oda("collect", "walk", "--series", 2, "--rate", 500, "--count", 1000)
        Cluster(job, "auditor").verify()


def storm_keeps_out_who_has_no_certificate_for_it(topology: Cluster) -> None:
    """People come to the UI and the logs; only servers come to ZooKeeper, and workers to workers."""
    layout = load_layout(topology.config, "local")
    person = topology.settings.storm.security
    stranger = StormSecurity(ca=person.ca)
    certificate = layout.certificates / "server.pem"
    server = StormSecurity(ca=person.ca, certificate=str(certificate), key=str(certificate.with_suffix(".key")))
    of = {kind: [*places[0].ports.values()] for kind, places in layout.places.items()}
    _supervisor, *workers = of["supervisor"]
    outside, inside = [*of["ui"], *of["logviewer"]], [of["zookeeper"][0], *workers]
    for ports, welcome, others in ((outside, person, (stranger, server)), (inside, server, (stranger, person))):
        for address in (("127.0.0.1", port) for port in ports):
            assert tls_problem([address], welcome) is None
            assert all(tls_problem([address], other) for other in others), address


@contextmanager
def started(cluster: Cluster, *arguments: object, **more: object) -> Iterator[subprocess.Popen]:
    """A command that goes on until it is ended."""
    command = [BIN / "oda", "--config", cluster.config, "--env", cluster.env, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, preexec_fn=HEARS_CTRL_C, **more) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(HANG_SECONDS)


@contextmanager
def notifying(reader: Cluster, folder: Path, hook: Hook) -> Iterator[None]:
    """Tells a receiver what happens from now on."""
    file = folder / "notify.yaml"
    file.write_text(
        json.dumps({"receivers": [{"name": "ops", "webhook": {"url": hook.url}}], "routes": [{"to": ["ops"]}]})
    )
    with started(reader, "notify", "run", file):
        wait_until(lambda: "never started" not in reader.oda("notify", "status", file, check=False).stdout, "not known")
        yield


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=HANG_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False
