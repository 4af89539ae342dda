"""The faults of machines: one dies, loses its disk, is cut off, has a wrong clock, joins; all are restarted in turn."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

from oda.chaos.faults import Fault, Upgrade
from oda.chaos.system import System
from oda.cluster import joining
from oda.cluster.layout import Machine
from oda.cluster.zookeeper import ZooKeeper

BLINK_SECONDS = 5.0
"""A link that is down for so long is noticed by few."""

AWAY_SECONDS = 300.0
"""Longer than anything waits: what was cut off is taken for dead by all."""

APART_SECONDS = 60.0

CLOCK_MINUTES = 5

_FAKED = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
"""A clock that is set forth or back is the wall clock; what measures spans of time, and Java's waiting, goes on."""


def _faketime() -> Path | None:
    """Debian's libfaketime, if it is installed: no namespace has a wall clock of its own."""
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


class Death(Fault):
    """SIGKILL to all that runs on a machine; it comes back with its disk."""

    outlived = 0.0

    def __init__(self, machine: Machine) -> None:
        self.name = f"death of {machine.name}"
        self._machine = machine

    def strike(self, system: System) -> None:
        system.network.kill(self._machine)

    def heal(self, system: System) -> None:
        system.mend()


class Loss(Death):
    """The same, and it comes back with an empty disk."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.name = f"loss of {machine.name}"

    def heal(self, system: System) -> None:
        for server in system.servers_of(self._machine):
            shutil.rmtree(server.folder)
        super().heal(system)


class Away(Fault):
    """A machine's link is down for long. Nobody is told: what was sent there is not even refused."""

    outlived: float | None = AWAY_SECONDS

    def __init__(self, machine: Machine) -> None:
        self.name = f"{machine.name} cut off for {AWAY_SECONDS / 60:g} min"
        self._machine = machine

    def strike(self, system: System) -> None:
        system.network.cut(self._machine)

    def heal(self, system: System) -> None:
        system.network.mend(self._machine)
        system.mend()


class Blink(Away):
    """The same, for a moment."""

    outlived = None

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.name = f"{machine.name} cut off for {BLINK_SECONDS:g} s"

    def strike(self, system: System) -> None:
        super().strike(system)
        time.sleep(BLINK_SECONDS)


class Apart(Fault):
    """Two machines do not hear each other for a while, and both hear all others.

    It need not be outlived: to whoever gives out the work and the partitions both are well, so a worker on the one goes
    on with a leader on the other that it can't reach.
    """

    def __init__(self, one: Machine, other: Machine) -> None:
        self.name = f"{one.name} and {other.name} apart"
        self._pair = one, other

    def strike(self, system: System) -> None:
        system.network.separate(*self._pair)
        time.sleep(APART_SECONDS)

    def heal(self, system: System) -> None:
        system.network.unite(*self._pair)
        system.mend()


class Clock(Fault):
    """All that runs on a machine is started again with a clock that is wrong; later, with the right one."""

    outlived = APART_SECONDS

    def __init__(self, machine: Machine, minutes: int) -> None:
        self.name = f"clock of {machine.name} {abs(minutes)} min {'ahead' if minutes > 0 else 'behind'}"
        self._machine = machine
        self._offset = f"{60 * minutes:+}"

    def strike(self, system: System) -> None:
        self._restart(system, {"LD_PRELOAD": str(_faketime()), "FAKETIME": self._offset, **_FAKED})

    def heal(self, system: System) -> None:
        self._restart(system, {})

    def _restart(self, system: System, environment: dict[str, str]) -> None:
        system.cluster.down([server.name for server in system.servers_of(self._machine)])
        os.environ.update(environment)  # which whatever is started inherits
        try:
            system.mend()
        finally:
            for name in environment:
                del os.environ[name]


class Joining(Fault):
    """A machine joins and takes its share; when all works with it, it hands that back, and is gone.

    So the fault may be struck again, and the next one meets the machines that a seed's faults are drawn for.
    """

    name = "a machine joins"
    outlived = 0.0

    def __init__(self, machines: int) -> None:
        self._machine = f"m{machines + 1}"

    def strike(self, system: System) -> None:
        joining.add(system.cluster, self._machine, lambda *_: None)

    def heal(self, system: System) -> None:
        joining.remove(system.cluster, self._machine, lambda *_: None)
        system.mend()


class RollingRestart(Fault):
    """Every server is ended and started again, a machine after the other, as for an upgrade of the servers.

    The machine of ZooKeeper's leader is the last (docs/operations.md), so there is one election.
    """

    name = "rolling restart"

    def strike(self, system: System) -> None:
        for machine in sorted(system.network.machines, key=lambda machine: _leads(system, machine)):
            system.cluster.down([server.name for server in system.servers_of(machine)])
            system.mend()

    def heal(self, system: System) -> None:
        system.mend()


def _leads(system: System, machine: Machine) -> bool:
    return any(isinstance(server, ZooKeeper) and server.leads() for server in system.servers_of(machine))


def machine_faults(system: System) -> list[Fault]:
    """One of each; the machine of nimbus and of people is restarted, and else spared."""
    struck = system.machines
    one: list[Fault] = [kind(machine) for kind in (Death, Loss, Blink, Away) for machine in struck]
    one += [Apart(*pair) for pair in itertools.combinations(struck, 2)]
    if _faketime():
        one += [Clock(machine, minutes) for machine in struck for minutes in (CLOCK_MINUTES, -CLOCK_MINUTES)]
    return [*one, Joining(len(system.network.machines)), RollingRestart(), Upgrade()]
