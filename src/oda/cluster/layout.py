"""Where the servers of one local cluster are: folders and ports, from config.json."""

from __future__ import annotations

import json
import locale
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oda.errors import UserError
from oda.paths import ROOT
from oda.settings import Kafka, Settings, load_settings

CLUSTER = ROOT / "cluster"
"""The repository's folder of versions and configuration templates."""

_UNUSABLE = re.compile(r'[:,"\\\x00-\x1f\x7f\ud800-\udfff]|\$\{')
"""In a folder's name; the last range is what is no UTF-8."""

Port = Annotated[int, Field(gt=0, lt=65_536)]


class Servers(BaseModel):
    """Section `servers` of config.json: what the topology need not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    """Relative to the folder of config.json."""
    zookeeper_port: Port
    kafka_controller_ports: tuple[Port, ...]
    """One a broker, in the order of `oda.kafka.brokers`."""
    kafka_internal_ports: tuple[Port, ...] = ()
    """As many, if there are certificates: brokers speak with each other at ports of their own."""
    certificates: Path | None = None
    """A folder with ca.pem, and the servers' server.pem, server.key and server.chain.pem (key, certificate, authority).

    And people.pem, the authority of those who may use Storm's UI: with a certificate of ca.pem one may do all that
    servers do.

    If it is given, servers ask for TLS and accounts (cluster/secured), and each of the environment's accounts is an
    administrator. Relative to the folder of config.json.
    """
    cassandra_storage_port: Port
    elasticsearch_transport_port: Port
    logviewer_port: Port
    supervisor_ports: Annotated[tuple[Port, ...], Field(min_length=1)]
    """One a supervisor; each stands for a machine."""
    worker_ports: tuple[Annotated[tuple[Port, ...], Field(min_length=1)], ...]
    """For each supervisor, one a Storm worker."""


@dataclass(frozen=True)
class Layout:
    """Folders and ports of one cluster; two clusters with nothing in common here don't meet.

    Attributes:
        data: folder of all data, configuration and logs.
        ports: port by name, such as `nimbus`, or `kafka_1` and `kafka_controller_1` of the first broker, or
            `supervisor_1` of the first supervisor.
        settings: how clients reach the servers.
        certificates: the folder of the servers' certificates; None if all is plain.
        worker_ports: of each supervisor, one a Storm worker.
    """

    data: Path
    ports: dict[str, int]
    settings: Settings
    worker_ports: tuple[tuple[int, ...], ...]
    certificates: Path | None = None

    @property
    def kafka(self) -> Kafka:
        """How clients reach the brokers."""
        return self.settings.kafka

    @property
    def brokers(self) -> int:
        """How many there are."""
        return len(self.kafka.brokers.split(","))

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a server."""
        return self.data / "logs"


def load_layout(config: Path, env: str) -> Layout:
    """The layout that a config.json describes for one of its environments.

    Raises:
        UserError: a setting is missing or wrong, an address is not on this machine, two servers would
            share a port, not every broker has a controller port or not every supervisor has ports of workers, there
            are fewer brokers than replicas, or a folder has a name that the servers can't use.
    """
    settings = load_settings(config, env)
    document = json.loads(config.read_text())
    section = document["envs"][env]
    try:
        servers = Servers.model_validate(document.get("servers", {}))
    except ValidationError as error:
        problems = [f"servers.{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"{config}: " + "; ".join(problems)) from None
    ports = {name.removesuffix("_port"): port for name, port in servers if name.endswith("_port")}
    brokers = [_local_port("oda.kafka.brokers", address) for address in settings.kafka.brokers.split(",")]
    if len(brokers) != len(servers.kafka_controller_ports):
        raise UserError(
            f"{config}: oda.kafka.brokers lists {len(brokers)} and servers.kafka_controller_ports "
            f"{len(servers.kafka_controller_ports)}; each broker needs one controller port"
        )
    if settings.kafka.replication > len(brokers):
        raise UserError(
            f"{config}: oda.kafka.replication is {settings.kafka.replication}, "
            f"and oda.kafka.brokers lists {len(brokers)}"
        )
    for number, (port, controller_port) in enumerate(zip(brokers, servers.kafka_controller_ports, strict=True), 1):
        ports |= {f"kafka_{number}": port, f"kafka_controller_{number}": controller_port}
    if len(servers.kafka_internal_ports) != (len(brokers) if servers.certificates else 0):
        raise UserError(f"{config}: servers.kafka_internal_ports must list a port a broker, with servers.certificates")
    ports |= {f"kafka_internal_{number}": port for number, port in enumerate(servers.kafka_internal_ports, 1)}
    ports |= {
        "cassandra": _local_port("oda.cassandra.hosts", settings.cassandra.hosts),
        "elasticsearch": _local_port("oda.elasticsearch.urls", settings.elasticsearch.urls),
        "nimbus": _local_port("nimbus", str(section.get("nimbus"))),
        "ui": int(section.get("ui.port", 8080)),
    }
    if len(servers.supervisor_ports) != len(servers.worker_ports):
        raise UserError(
            f"{config}: servers.supervisor_ports lists {len(servers.supervisor_ports)} and servers.worker_ports "
            f"{len(servers.worker_ports)}; each supervisor needs a list of ports for its workers"
        )
    ports |= {f"supervisor_{number}": port for number, port in enumerate(servers.supervisor_ports, 1)}
    uses = Counter([*ports.values(), *(port for workers in servers.worker_ports for port in workers)])
    if shared := [port for port, count in uses.items() if count > 1]:
        raise UserError(f"{config}: port {shared[0]} is given to two servers")
    data = (config.parent / servers.data).resolve()
    check_name("servers.data", data)
    check_name("the repository", CLUSTER)
    certificates = (config.parent / servers.certificates).resolve() if servers.certificates else None
    return Layout(data, ports, settings, servers.worker_ports, certificates)


def check_name(what: str, folder: Path) -> None:
    """Raises UserError when the servers can't use a folder, for its name; `what` says where that is set."""
    # Java's class path ends at a colon, Kafka's log.dirs at a comma; the rest have a meaning in the configuration.
    if found := _UNUSABLE.search(str(folder)):
        raise UserError(f"{what} is {str(folder)!r}: the servers can't use a folder with {found[0]!r} in its name")
    if not str(folder).isascii() and (encoding := locale.nl_langinfo(locale.CODESET)) != "UTF-8":
        raise UserError(
            f"{what} is {folder}: in the locale's encoding, {encoding}, servers can't find that. Set LC_ALL=C.UTF-8."
        )


def _local_port(setting: str, address: str) -> int:
    """The port of one `host:port` or URL on this machine."""
    parts = urlsplit(address.strip() if "//" in address else f"//{address.strip()}")
    try:
        if parts.hostname in {"127.0.0.1", "localhost"} and parts.port:
            return parts.port
    except ValueError:
        pass
    raise UserError(
        f"{setting} is {address!r}: the local cluster starts its servers at 127.0.0.1:PORT. "
        "Use an environment of config.json that says so (oda --env local)."
    )
