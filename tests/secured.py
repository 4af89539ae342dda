"""Servers that ask for TLS and accounts, with certificates and passwords made for this run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oda.cluster.certificates import Authority
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.paths import ROOT
from support import free_port

KINDS = ("kafka", "cassandra", "elasticsearch")

_SERVERS = ("kafka-1", "cassandra", "elasticsearch")


def secret(folder: Path, name: str) -> Path:
    """A file with a password."""
    path = folder / f"{name}.password"
    path.write_text(f"{name}-secret\n")
    path.chmod(0o600)
    return path


def secured(folder: Path) -> Path:
    """Write a config.json of one server of each kind on free ports; its environment is an administrator's."""
    authority = Authority(folder / "pki")
    authority.sign("server")
    document = json.loads((ROOT / "config.json").read_text())
    options = document["envs"]["local"]["options"]
    options |= {
        "oda.kafka.brokers": f"127.0.0.1:{free_port()}",
        "oda.cassandra.hosts": f"127.0.0.1:{free_port()}",
        "oda.elasticsearch.urls": f"https://127.0.0.1:{free_port()}",
    }
    document["envs"]["local"]["options"] = as_user(options, authority, "admin", secret(folder, "admin"))
    ports = {name: free_port() for name, value in document["servers"].items() if name.endswith("_port")}
    lists = {"kafka_controller_ports": [free_port()], "kafka_internal_ports": [free_port()]}
    document["servers"] |= ports | lists | {"data": "data", "certificates": "pki"}
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return path


def as_user(options: dict, authority: Authority, user: str, password: Path) -> dict:
    """The options with another account."""
    sections = {"ca": authority.pem, "user": user, "password_file": password}
    return options | {f"oda.{kind}.security.{key}": str(value) for kind in KINDS for key, value in sections.items()}


@contextmanager
def running(config: Path) -> Iterator[LocalCluster]:
    """The three servers, without Storm's."""
    cluster = LocalCluster(load_layout(config, "local"), install(lambda *_: None))
    cluster.servers = [server for server in cluster.servers if server.name in _SERVERS]
    try:
        cluster.up(lambda *_: None)
        yield cluster
    finally:
        cluster.down()
