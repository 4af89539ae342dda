"""Servers that ask for TLS and accounts, with certificates and passwords made for this run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oda.cluster.broker import Broker
from oda.cluster.certificates import Authority
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.paths import ROOT
from support import free_port

KINDS = ("kafka", "cassandra", "elasticsearch")

_SERVERS = ("cassandra", "elasticsearch")


def secret(folder: Path, name: str) -> Path:
    """A file with a password."""
    path = folder / f"{name}.password"
    path.write_text(f"{name}-secret\n")
    path.chmod(0o600)
    return path


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
