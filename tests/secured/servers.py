"""Servers that ask for TLS and accounts, with certificates and passwords made for this run."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from oda.admin import printed
from oda.admin.rights import ROLES
from oda.cluster.broker import Broker
from oda.cluster.certificates import Authority
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.core.kinds import WINDOWS
from oda.errors import UserError
from oda.kafka import client
from oda.paths import ROOT
from oda.settings import Settings, load_options
from oda.stores.elasticsearch import ElasticsearchStore
from oda.stores.session import open_session
from support import Cluster, free_port, secret

KINDS = ("kafka", "cassandra", "elasticsearch")

_SERVERS = ("cassandra", "elasticsearch")


def secured(folder: Path) -> Path:
    """Write a config.json of one server of each kind on free ports; its environment is an administrator's."""
    authority, people = Authority(folder / "pki"), Authority(folder / "pki", "people")
    authority.sign("server")
    certificate = people.sign("person")
    document = json.loads((ROOT / "config.json").read_text())
    local = document["envs"]["local"]
    local |= {"nimbus": f"127.0.0.1:{free_port()}", "ui.port": free_port()}
    options = local["options"]
    options |= {
        "oda.kafka.brokers": f"127.0.0.1:{free_port()}",
        "oda.cassandra.hosts": f"127.0.0.1:{free_port()}",
        "oda.elasticsearch.urls": f"https://127.0.0.1:{free_port()}",
        "oda.storm.security.ca": str(authority.pem),
        "oda.storm.security.certificate": str(certificate),
        "oda.storm.security.key": str(certificate.with_suffix(".key")),
    }
    local["options"] = as_user(options, authority.pem, "admin", secret(folder, "admin"))
    ports = {name: free_port() for name, value in document["servers"].items() if name.endswith("_port")}
    lists = {"kafka_controller_ports": [free_port()], "kafka_internal_ports": [free_port()]}
    lists |= {"supervisor_ports": [free_port()], "worker_ports": [[free_port(), free_port()]]}
    document["servers"] |= ports | lists | {"data": "data", "certificates": "pki"}
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return path


def as_user(options: dict, ca: Path, user: str, password: Path) -> dict:
    """The options with another account."""
    sections = {"ca": ca, "user": user, "password_file": password}
    return options | {f"oda.{kind}.security.{key}": str(value) for kind in KINDS for key, value in sections.items()}


_OTHER = r"""
listener.name.other.ssl.client.auth=required
listener.name.other.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.other.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.other.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
    user_plain="plain-secret";
"""


class _BrokerOfAllKinds(Broker):
    """With a listener more, for what clients may set and ODA's own brokers do not ask for."""

    def prepare(self) -> None:
        super().prepare()
        file = self.conf / "server.properties"
        other = f"listeners=OTHER://127.0.0.1:{free_port()},"
        text = file.read_text().replace("listeners=", other)
        file.write_text(text.replace("protocol.map=", "protocol.map=OTHER:SASL_SSL,") + _OTHER)


@contextmanager
def running(config: Path) -> Iterator[LocalCluster]:
    """The three servers, without Storm's."""
    cluster = LocalCluster(load_layout(config, "local"), install(lambda *_: None))
    mine = [server for server in cluster.servers if server.name in _SERVERS]
    cluster.servers = [*mine, _BrokerOfAllKinds(cluster.layout, mine[0].software, 1)]
    try:
        cluster.up(lambda *_: None)
        yield cluster
    finally:
        cluster.down()


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
