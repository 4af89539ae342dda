"""What the containers of docker-compose.secured.yml read: environment `machines` of config.json at other addresses.

Each container has its server's folder where it is here, below one folder. So a file is what `oda machines up` writes
for that server, from the same templates, but for addresses and paths.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from oda.cluster.artifacts import ArtifactCache
from oda.cluster.broker import Broker
from oda.cluster.certificates import OWN_ADDRESS, Authority, write_private
from oda.cluster.layout import Layout
from oda.cluster.local import LocalCluster
from oda.cluster.server import Server
from oda.cluster.software import Software

DATA = Path("/oda")
"""The folder, in the containers."""

NETWORK = "10.77.0."
"""What addresses begin with there, instead of what they begin with in `machines`."""

_NETWORK_OF_MACHINES, _CERTIFICATES_OF_MACHINES = "127.1.0.", "/etc/oda/machines"

_USER = 1000
"""Who runs the servers in the containers."""

SOFTWARE = Software(jdk=Path("/usr"), cache=ArtifactCache(), storm=Path("/storm"), elasticsearch=Path("/elasticsearch"))
"""What command lines name, and no configuration that is used: images have their own."""


def write_config(config: Path, env: str, folder: Path) -> Path:
    """Write a config.json whose environment `env` is that of `config`, moved to the containers; returns its path."""
    document = json.loads(config.read_text())
    text = json.dumps(document["envs"][env])
    text = text.replace(_NETWORK_OF_MACHINES, NETWORK).replace(_CERTIFICATES_OF_MACHINES, str(folder / "certificates"))
    section = json.loads(text)
    section["servers"]["data"] = str(folder)
    path = folder / "compose.json"
    path.write_text(json.dumps(document | {"envs": {env: section}}))
    return path


def configure(layout: Layout) -> None:
    """Write each server's configuration, once its certificates and passwords are there; may be repeated.

    The page gets a certificate and a token, too. Where this is root, all of it belongs to who runs the servers.
    """
    brokers = []
    for server in LocalCluster(layout, SOFTWARE).servers:
        if isinstance(server, Broker):
            Server.prepare(server)
            brokers.append(server)
        else:
            server.prepare()
    _let_format(brokers)
    layout.logs.mkdir(exist_ok=True)
    if layout.certificates:
        _make_page(layout, layout.certificates)
    if os.geteuid() == 0:
        for path in layout.data.rglob("*"):
            os.chown(path, _USER, _USER)


def _let_format(brokers: list[Broker]) -> None:
    """What Java is to be told, by each broker's container: a new storage is made with the administrator's account."""
    cluster_id = brokers[0].cluster_id()
    for broker in brokers:
        words = ["-cp", "/opt/kafka/libs/*", *broker.formatting(cluster_id), "--ignore-formatted"]
        write_private(broker.conf / "format", " ".join(map(json.dumps, words)).encode())


def _make_page(layout: Layout, certificates: Path) -> None:
    machine = layout.nimbus.machine
    if not (token := certificates / "page.token").exists():
        Authority(certificates, "people").sign("page", ["localhost", machine.name, machine.address, OWN_ADDRESS])
        write_private(token, f"{secrets.token_hex()}\n".encode())
