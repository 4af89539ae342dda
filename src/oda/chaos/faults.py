"""The faults: each strikes a running system, and can heal what does not heal by itself."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import psutil
from kafka import KafkaAdminClient

from oda.cluster import processes
from oda.cluster.local import LocalCluster
from oda.settings import Settings
from oda.topology import Storm

COMPONENTS = ("readings", "windows", "anomalies", "cassandra", "elasticsearch", "kafka")
"""Components of the topology, each a Python process."""


PAUSE_SECONDS = 40.0
"""Longer than topology.message.timeout.secs, and than any heartbeat's timeout."""


@dataclass(frozen=True)
class System:
    """What faults strike: a local cluster and one topology on it."""

    cluster: LocalCluster
    storm: Storm
    settings: Settings
    topology: str

    def component(self, name: str) -> list[psutil.Process]:
        """The Python processes of a component of the topology."""
        module = ("spouts." if name == "readings" else "bolts.") + name + "."
        return [process for process in self._workers() if _runs(process, "streamparse_run", module)]

    def worker(self) -> list[psutil.Process]:
        """The JVM that runs the topology, without the process that writes its log."""
        main = "org.apache.storm.daemon.worker.Worker"
        return [p for p in self._workers() if _runs(p, main) and not _runs(p, "org.apache.storm.LogWriter")]

    def server(self, name: str) -> list[psutil.Process]:
        """The process of a server."""
        running = processes.find_servers(self.cluster.layout.data)
        return [running[name]] if name in running else []

    def _workers(self) -> list[psutil.Process]:
        family = processes.find(self.cluster.layout.data).get("supervisor", [])
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


class Fault(ABC):
    """One way to hurt the system."""

    name: str

    @abstractmethod
    def strike(self, system: System) -> None:
        """Do it."""

    @abstractmethod
    def heal(self, system: System) -> None:
        """Undo what the system can't mend by itself."""


class Kill(Fault):
    """SIGKILL; Storm starts components and workers again, healing starts servers again."""

    def __init__(self, target: Target) -> None:
        self.name = f"kill {target.name}"
        self._target = target

    def strike(self, system: System) -> None:
        """Kill what is there to be killed."""
        found = self._target.find(system)
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=30)  # until then it may hold its port

    def heal(self, system: System) -> None:
        """Start the servers that are missing."""
        system.cluster.up(lambda *_: None)


class Pause(Fault):
    """SIGSTOP, and SIGCONT after longer than Storm waits: what wakes up is a zombie."""

    def __init__(self, target: Target) -> None:
        self.name = f"pause {target.name}"
        self._target = target
        self._stopped: list[psutil.Process] = []

    def strike(self, system: System) -> None:
        """Stop it for the time."""
        self._stopped = self._target.find(system)
        for process in self._stopped:
            process.suspend()
        time.sleep(PAUSE_SECONDS)

    def heal(self, system: System) -> None:
        """Let it go on, if it is still there; start the servers that are missing."""
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        system.cluster.up(lambda *_: None)


class Resubmit(Fault):
    """Kill the topology and submit it anew."""

    name = "resubmit topology"

    def strike(self, system: System) -> None:
        """Kill it."""
        system.storm.kill(system.topology)

    def heal(self, system: System) -> None:
        """Submit it."""
        system.storm.submit(system.topology)


class SecondTopology(Fault):
    """The same topology under another name, on the same group, by mistake."""

    name = "second topology"

    def strike(self, system: System) -> None:
        """Submit it and let both work for a while."""
        system.storm.submit(f"{system.topology}-twin")
        time.sleep(15)

    def heal(self, system: System) -> None:
        """Kill it."""
        system.storm.kill(f"{system.topology}-twin")


class MorePartitions(Fault):
    """The readings topic gets one more partition, so that series move."""

    name = "more partitions"

    def strike(self, system: System) -> None:
        """Add one."""
        config = system.settings.kafka
        admin = KafkaAdminClient(bootstrap_servers=config.brokers.split(","))
        now = len(admin.describe_topics([config.readings])[0]["partitions"])
        admin.create_partitions({config.readings: now + 1})
        admin.close()

    def heal(self, system: System) -> None:
        """Partitions stay."""


def all_faults(system: System) -> list[Fault]:
    """One of each."""
    targets = [Target(name, partial(System.component, name=name)) for name in COMPONENTS]
    targets.append(Target("worker", System.worker))
    spared = {"ui", "logviewer"}  # nothing depends on them
    for server in system.cluster.servers:
        if server.name not in spared:
            targets.append(Target(f"server {server.name}", partial(System.server, name=server.name)))
    kinds: list[type[Kill] | type[Pause]] = [Kill, Pause]
    return [*(kind(target) for kind in kinds for target in targets), Resubmit(), SecondTopology(), MorePartitions()]
