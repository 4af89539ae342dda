"""The faults that signals and mistakes make: each strikes a running system, and is healed after it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress

import psutil

from oda.chaos.system import System, Target
from oda.kafka import client

PAUSE_SECONDS = 35.0
"""Longer than topology.message.timeout.secs, and than any heartbeat's timeout."""

HURT_SECONDS = 15.0
"""How long a fault lasts that needs no time-out to pass."""


class Fault(ABC):
    """One way to hurt the system.

    Attributes:
        name: for people; no other has it.
        outlived: for at least so many seconds the rest has to work without what was struck, and only when it does
            that is healed; None: it is healed at once.
    """

    name: str
    outlived: float | None = None

    @abstractmethod
    def strike(self, system: System) -> None:
        """Do it."""

    @abstractmethod
    def heal(self, system: System) -> None:
        """Undo what the system can't mend by itself."""


def kill(found: list[psutil.Process]) -> None:
    """SIGKILL; returns when they are gone: until then they may hold their ports."""
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=30)


def _tell_all(found: list[psutil.Process], verb: str) -> None:
    for process in found:
        with suppress(psutil.NoSuchProcess):
            getattr(process, verb)()


class Kill(Fault):
    """SIGKILL; Storm starts components and workers again, healing starts servers again."""

    def __init__(self, target: Target) -> None:
        self.name = f"kill {target.name}"
        self._target = target

    def strike(self, system: System) -> None:
        kill(self._target.find(system))

    def heal(self, system: System) -> None:
        system.mend()


class Pause(Fault):
    """SIGSTOP, and SIGCONT after longer than anybody waits: requests time out, and what wakes up is a zombie."""

    def __init__(self, target: Target) -> None:
        self.name = f"pause {target.name}"
        self._target = target
        self._stopped: list[psutil.Process] = []

    def strike(self, system: System) -> None:
        self._stopped = self._target.find(system)
        _tell_all(self._stopped, "suspend")
        time.sleep(PAUSE_SECONDS)

    def heal(self, system: System) -> None:
        _tell_all(self._stopped, "resume")
        system.mend()


class Slow(Fault):
    """A server that has a tenth of the time: it answers, but late."""

    def __init__(self, target: Target) -> None:
        self.name = f"slow {target.name}"
        self._target = target
        self._slowed: list[psutil.Process] = []

    def strike(self, system: System) -> None:
        self._slowed = self._target.find(system)
        end = time.monotonic() + HURT_SECONDS
        while time.monotonic() < end:
            _tell_all(self._slowed, "suspend")
            time.sleep(0.9)
            _tell_all(self._slowed, "resume")
            time.sleep(0.1)

    def heal(self, system: System) -> None:
        _tell_all(self._slowed, "resume")


class Resubmit(Fault):
    """Kill the topology and submit it anew."""

    name = "resubmit topology"

    def strike(self, system: System) -> None:
        system.storm.kill(system.topology)

    def heal(self, system: System) -> None:
        if system.storm.api.topology_id(system.topology) is None:  # else it is there: never killed, or upgraded
            system.storm.submit(system.topology, *system.options)


class Upgrade(Resubmit):
    """`sparse submit --force`, as one submits a new version: the former is killed, and the new one goes on."""

    name = "upgrade topology"

    def strike(self, system: System) -> None:
        system.storm.submit(system.topology, *system.options, force=True)


class SecondTopology(Fault):
    """The same topology under another name, on the same group: two live processes on each partition."""

    name = "second topology"

    def strike(self, system: System) -> None:
        system.storm.submit(f"{system.topology}-twin", *system.options)
        time.sleep(HURT_SECONDS)

    def heal(self, system: System) -> None:
        if system.storm.api.topology_id(f"{system.topology}-twin"):
            system.storm.kill(f"{system.topology}-twin")


class MorePartitions(Fault):
    """The readings topic gets one more partition: producers that start from now on may move series to it."""

    name = "more partitions"

    def strike(self, system: System) -> None:
        kafka = system.settings.kafka
        with closing(client.admin(kafka)) as admin:
            now = len(admin.describe_topics([kafka.readings])[0]["partitions"])
            admin.create_partitions({kafka.readings: now + 1})

    def heal(self, system: System) -> None:
        """Partitions stay."""
