"""What faults strike: a local cluster, and one topology on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import psutil
import tenacity

from oda.chaos.whole import wait_until_whole
from oda.cluster import processes
from oda.cluster.layout import Machine
from oda.cluster.local import LocalCluster, ServerFailedError
from oda.cluster.network import Network
from oda.cluster.server import Server
from oda.cluster.storm_daemons import Supervisor
from oda.errors import UserError
from oda.settings import Settings
from oda.stores.catalogue import STORES
from oda.storm.topologies import Storm

SCRIPTS = {
    "readings": "spouts.readings.",
    "windows": "bolts.windows.",
    "anomalies": "bolts.anomalies.",
    "members": "spouts.members.",
    "groups": "bolts.groups.",
} | {store.name: f"bolts.sinks.{store.name}" for store in STORES}
"""Components of the topology, each a Python process, and what it was started with."""

_SPARED = {"ui", "logviewer"}  # nothing depends on them


@dataclass(frozen=True)
class System:
    """A local cluster, the name of the topology that runs on it, and the options that it is submitted with."""

    cluster: LocalCluster
    storm: Storm
    settings: Settings
    topology: str
    options: tuple[str, ...] = ()

    def component(self, name: str) -> list[psutil.Process]:
        """The Python processes of a component of the topology."""
        return [process for process in self._workers() if _runs(process, "streamparse_run", SCRIPTS[name])]

    def workers(self) -> list[psutil.Process]:
        """The JVMs that run the topology, oldest first, without the processes that write their logs."""
        main = "org.apache.storm.daemon.worker.Worker"
        return [p for p in self._workers() if _runs(p, main) and not _runs(p, "org.apache.storm.LogWriter")]

    def worker(self) -> list[psutil.Process]:
        """One of the JVMs that run the topology."""
        return self.workers()[:1]

    def server(self, name: str) -> list[psutil.Process]:
        running = processes.find_servers(self.cluster.layout.data)
        return [running[name]] if name in running else []

    @property
    def network(self) -> Network:
        """Of a cluster of several machines."""
        if self.cluster.network is None:
            raise UserError("the environment has no servers.machines: there is one machine")
        return self.cluster.network

    @property
    def machines(self) -> list[Machine]:
        """Those without which the system has to do: all but that of nimbus, where people are."""
        return [machine for machine in self.network.machines if machine != self.network.people]

    def servers_of(self, machine: Machine) -> list[Server]:
        return [server for server in self.cluster.servers if server.machine == machine]

    def mend(self) -> None:
        """Start the servers that are missing; returns when all serve, and everything has its replicas again."""
        # Nimbus and supervisors end by themselves when ZooKeeper was away, and may do so while it is started again.
        retry = tenacity.retry_if_exception_type(ServerFailedError)
        tenacity.Retrying(retry=retry, stop=tenacity.stop_after_attempt(3), reraise=True)(
            self.cluster.up, lambda *_: None
        )
        if self.cluster.network:
            wait_until_whole(self.settings)

    @property
    def supervisors(self) -> list[str]:
        """Names of the servers whose processes include their workers'."""
        return [server.name for server in self.cluster.servers if isinstance(server, Supervisor)]

    def _workers(self) -> list[psutil.Process]:
        found = processes.find(self.cluster.layout.data)
        family = sorted((p for name in self.supervisors for p in found.get(name, [])), key=lambda p: p.create_time())
        return [process for process in family if _belongs(process, self.topology)]


def _runs(process: psutil.Process, *words: str) -> bool:
    with suppress(psutil.Error):
        command = process.cmdline()
        return all(any(word in part for part in command) for word in words)
    return False


def _belongs(process: psutil.Process, topology: str) -> bool:
    """A worker has the topology's id among its arguments, a component runs in the topology's folder."""
    with suppress(psutil.Error):
        return any(part.startswith(f"{topology}-") for part in process.cmdline()) or f"/{topology}-" in process.cwd()
    return False


class Target(NamedTuple):
    """What a signal is sent to."""

    name: str
    find: Callable[[System], list[psutil.Process]]


def server_target(name: str) -> Target:
    return Target(f"server {name}", partial(System.server, name=name))


def all_targets(system: System) -> list[Target]:
    """Each component, one worker and all at once, and each server that something depends on."""
    return [
        *(Target(name, partial(System.component, name=name)) for name in SCRIPTS),
        Target("worker", System.worker),
        Target("all workers", System.workers),
        *(server_target(server.name) for server in system.cluster.servers if server.name not in _SPARED),
    ]
