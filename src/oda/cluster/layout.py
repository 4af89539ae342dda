"""Where the servers of one cluster are: machines, folders and ports, from config.json.

The machines are this computer, or several that are made of it: network namespaces (`oda.cluster.network`).
"""

from __future__ import annotations

import json
import locale
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from oda.cluster.section import Servers, read_servers
from oda.errors import UserError
from oda.paths import ROOT
from oda.settings import Kafka, Settings, load_settings

CLUSTER = ROOT / "cluster"
"""The repository's folder of versions and configuration templates."""

_UNUSABLE = re.compile(r'[:,"\\\x00-\x1f\x7f\ud800-\udfff]|\$\{')
"""In a folder's name; the last range is what is no UTF-8."""


@dataclass(frozen=True)
class Machine:
    """One that servers run on.

    Attributes:
        name: its host's.
        address: where its servers listen.
        namespace: that of its network; None: it is this computer itself.
        joined: whether it came when the others were there, which are who votes and whom to ask.
    """

    name: str
    address: str
    namespace: str | None = None
    joined: bool = False


class Place(NamedTuple):
    """Where one server is.

    Attributes:
        machine: which it runs on.
        ports: by what is there, such as `kafka` and `kafka_controller`; the first is the one that clients use.
    """

    machine: Machine
    ports: dict[str, int]

    def at(self, what: str) -> str:
        """The address of one of its ports, `host:port`."""
        return f"{self.machine.address}:{self.ports[what]}"


@dataclass(frozen=True)
class Layout:
    """Folders and places of one cluster; two clusters with nothing in common here don't meet.

    Attributes:
        data: folder of all data, configuration and logs.
        machines: at least one.
        places: of the servers, by their kind, such as `kafka`.
        settings: how clients reach the servers.
        logviewer_port: of Storm's logviewer; several machines have none, since here one folder has all logs.
        certificates: the folder of the servers' certificates; None if all is plain.
        compiles: whether servers compile all they can also where machines share cores: after each start that takes most
            of these, but without it TLS takes many times as much.
    """

    data: Path
    machines: tuple[Machine, ...]
    places: dict[str, tuple[Place, ...]]
    settings: Settings
    logviewer_port: int
    certificates: Path | None = None
    compiles: bool = False

    @property
    def kafka(self) -> Kafka:
        """How clients reach the brokers."""
        return self.settings.kafka

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a server."""
        return self.data / "logs"

    @property
    def is_shared(self) -> bool:
        """Whether several machines share this computer."""
        return len(self.machines) > 1

    @property
    def nimbus(self) -> Place:
        """Storm's master; where there are several machines, people are on its one."""
        return self.places["nimbus"][0]

    def certificates_of(self, machine: Machine) -> Path | None:
        """The folder of its certificates."""
        return self.certificates / machine.name if self.certificates and machine.namespace else self.certificates


def load_layout(config: Path, env: str) -> Layout:
    """The layout that a config.json describes for one of its environments.

    Raises:
        UserError: a setting is missing or wrong, an address is on none of the machines, two servers would
            share a port, not every broker that did not join has a controller port or not every supervisor has ports
            of workers, there are fewer brokers than replicas, or a folder has a name that the servers can't use.
    """
    settings = load_settings(config, env)
    document = json.loads(config.read_text())
    section = document["envs"][env]
    servers = read_servers(config, document, env)
    named = (
        Machine(name, address, f"{servers.namespaces}-{name}", name in servers.joined)
        for name, address in servers.machines.items()
    )
    machines = tuple(named) or (Machine("localhost", "127.0.0.1"),)
    data = (config.parent / servers.data).resolve()
    check_name("servers.data", data)
    check_name("the repository", CLUSTER)
    certificates = (config.parent / servers.certificates).resolve() if servers.certificates else None
    try:
        places = _places(settings, section, servers, machines)
    except UserError as error:
        raise UserError(f"{config}: {error}") from None
    return Layout(data, machines, places, settings, servers.logviewer_port, certificates)


def _places(
    settings: Settings, section: dict[str, Any], servers: Servers, machines: Sequence[Machine]
) -> dict[str, tuple[Place, ...]]:
    brokers = _brokers(settings.kafka, servers, machines)
    nimbus = _place("nimbus", str(section.get("nimbus")), machines, "nimbus")
    elastic = {"elasticsearch_transport": servers.elasticsearch_transport_port}
    cassandra = {"cassandra_storage": servers.cassandra_storage_port}
    found = {
        "zookeeper": _zookeepers(
            servers, list(dict.fromkeys(broker.machine for broker in brokers if not broker.machine.joined))
        ),
        "elasticsearch": tuple(
            _place("oda.elasticsearch.urls", url, machines, "elasticsearch", elastic)
            for url in settings.elasticsearch.urls.split(",")
        ),
        "cassandra": tuple(
            _place("oda.cassandra.hosts", host, machines, "cassandra", cassandra)
            for host in settings.cassandra.hosts.split(",")
        ),
        "kafka": brokers,
        "nimbus": (nimbus,),
        "supervisor": _supervisors(servers, [one for one in machines if one != nimbus.machine] or machines),
        "ui": (Place(nimbus.machine, {"ui": int(section.get("ui.port", 8080))}),),
        "logviewer": (Place(nimbus.machine, {"logviewer": servers.logviewer_port}),) if len(machines) == 1 else (),
    }
    uses = Counter(
        (place.machine, port) for of_kind in found.values() for place in of_kind for port in place.ports.values()
    )
    if shared := [port for (_, port), count in uses.items() if count > 1]:
        raise UserError(f"port {shared[0]} is given to two servers")
    return found


def _zookeepers(servers: Servers, machines: Sequence[Machine]) -> tuple[Place, ...]:
    peer, election = servers.zookeeper_peer_ports
    among = {"zookeeper_peer": peer, "zookeeper_election": election} if len(machines) > 1 else {}
    return tuple(Place(machine, {"zookeeper": servers.zookeeper_port} | among) for machine in machines)


def check_name(what: str, folder: Path) -> None:
    """Raises UserError when the servers can't use a folder, for its name; `what` says where that is set."""
    # Java's class path ends at a colon, Kafka's log.dirs at a comma; the rest have a meaning in the configuration.
    if found := _UNUSABLE.search(str(folder)):
        raise UserError(f"{what} is {str(folder)!r}: the servers can't use a folder with {found[0]!r} in its name")
    if not str(folder).isascii() and (encoding := locale.nl_langinfo(locale.CODESET)) != "UTF-8":
        raise UserError(
            f"{what} is {folder}: in the locale's encoding, {encoding}, servers can't find that. Set LC_ALL=C.UTF-8."
        )


def _brokers(kafka: Kafka, servers: Servers, machines: Sequence[Machine]) -> tuple[Place, ...]:
    found = [_place("oda.kafka.brokers", address, machines, "kafka") for address in kafka.brokers.split(",")]
    count, controllers = len(found), sum(not place.machine.joined for place in found)
    if controllers != len(servers.kafka_controller_ports):
        raise UserError(
            f"oda.kafka.brokers lists {controllers} and servers.kafka_controller_ports "
            f"{len(servers.kafka_controller_ports)}; each broker needs one controller port"
        )
    if any(place.machine.joined for place in found[:controllers]):
        raise UserError("oda.kafka.brokers lists one of servers.joined before others; it must be at the end")
    if kafka.replication > count:
        raise UserError(f"oda.kafka.replication is {kafka.replication}, and oda.kafka.brokers lists {count}")
    if len(servers.kafka_internal_ports) != (count if servers.certificates else 0):
        raise UserError("servers.kafka_internal_ports must list a port a broker, with servers.certificates")
    listeners = {"kafka_controller": servers.kafka_controller_ports, "kafka_internal": servers.kafka_internal_ports}
    return tuple(
        place._replace(ports=place.ports | {name: ports[n] for name, ports in listeners.items() if n < len(ports)})
        for n, place in enumerate(found)
    )


def _supervisors(servers: Servers, machines: Sequence[Machine]) -> tuple[Place, ...]:
    if len(servers.supervisor_ports) != len(servers.worker_ports):
        raise UserError(
            f"servers.supervisor_ports lists {len(servers.supervisor_ports)} and servers.worker_ports "
            f"{len(servers.worker_ports)}; each supervisor needs a list of ports for its workers"
        )
    return tuple(
        Place(machine, {"supervisor": port} | {f"worker_{n}": worker for n, worker in enumerate(workers)})
        for machine, port, workers in zip(cycle(machines), servers.supervisor_ports, servers.worker_ports, strict=False)
    )


def _place(
    setting: str, address: str, machines: Sequence[Machine], what: str, more: Mapping[str, int] | None = None
) -> Place:
    """Where one `host:port` or URL is, and the other ports there."""
    parts = urlsplit(address.strip() if "//" in address else f"//{address.strip()}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    for machine in machines:
        # The name of a machine in a namespace is known there only.
        if port and host in {machine.address, machine.address if machine.namespace else machine.name}:
            return Place(machine, {what: port} | dict(more or {}))
    here = " or ".join(f"{machine.address}:PORT" for machine in machines)
    raise UserError(
        f"{setting} is {address!r}: the local cluster starts its servers at {here}. "
        "Use an environment of config.json that says so (oda --env local)."
    )
