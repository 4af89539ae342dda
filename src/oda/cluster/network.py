"""Several machines on one computer: network namespaces, joined by a switch that may be told what to lose.

A machine has a network, a host name and a hosts file of its own; processes, memory, clock and disk it shares. Where the
kernel lets us make control groups, each has as much of the cores as any other: one that starts anew is not starved by
those that work. Addresses are of 127/8, so that the servers take them for their own computer, though each reaches the
others only by the switch. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from oda.cluster.layout import Layout, Machine
from oda.errors import UserError

NAMESPACES = Path("/run/netns")
"""Where `ip netns` keeps them."""

_CLONE_NEWNET = 0x40000000

_GROUPS = Path("/sys/fs/cgroup")

SLACK_NS = 2_000_000
"""By how much the kernel may delay the end of a wait: idle threads of Cassandra look for work every 10 us, which costs
three of it a third of a core. What waits for a message is woken at once all the same."""

_INSIDE = f"""
if [ -w "$1/cgroup.procs" ]; then echo $$ >"$1/cgroup.procs"; fi
echo {SLACK_NS} >/proc/$$/timerslack_ns
mount --bind "$2" /etc/hosts && hostname "$3" && shift 3 && exec "$@"
"""

_MACHINE = """
set -e
ip -n {ns} link add eth0 type veth peer name {name} netns {switch}
ip -n {switch} link set {name} master switch up
ip -n {ns} link set lo up
ip netns exec {ns} sh -c 'for of in all eth0; do echo 1 >/proc/sys/net/ipv4/conf/$of/route_localnet; done'
ip -n {ns} addr flush dev lo
ip -n {ns} addr add 127.0.0.1/32 dev lo
ip -n {ns} addr add {address}/24 dev eth0
ip -n {ns} link set eth0 up
"""
"""Loopback holds 127.0.0.1 only, so that the other addresses of 127/8 are outside."""


def check_root() -> None:
    """Raises UserError unless this is root."""
    if os.geteuid() != 0:
        raise UserError("only root may make and enter network namespaces: run this as root (sudo ./oda machines ...)")


class Network:
    """The machines of a layout.

    Attributes:
        machines: all of them.
        people: the machine of nimbus, where people, collectors and the UI are.
    """

    def __init__(self, layout: Layout) -> None:
        self.machines = layout.machines
        self.people = layout.nimbus.machine
        self._hosts = layout.data / "hosts"
        name = _namespace(self.people)
        self._switch = f"{name.removesuffix(self.people.name)}switch"

    def up(self) -> None:
        """Make what is not there.

        Raises:
            UserError: it can't be made.
        """
        for machine in self.machines:
            if not machine.address.startswith("127."):
                # Elsewhere Elasticsearch asks for more than a machine has that shares this one with others.
                raise UserError(f"servers.machines.{machine.name} is {machine.address}: it must be in 127.0.0.0/8")
        self._hosts.parent.mkdir(parents=True, exist_ok=True)
        names = [f"{machine.address} {machine.name}" for machine in self.machines]
        self._hosts.write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
        if not (NAMESPACES / self._switch).exists():
            _sh(f"ip netns add {self._switch}")
            _sh(f"ip -n {self._switch} link add switch type bridge && ip -n {self._switch} link set switch up")
        for machine in self.machines:
            if not (NAMESPACES / _namespace(machine)).exists():
                of = {"ns": _namespace(machine), "name": machine.name, "address": machine.address}
                _sh(f"ip netns add {of['ns']}")
                _sh(_MACHINE.format(**of, switch=self._switch))
                _make_group(machine)

    def down(self) -> None:
        """Remove all that `up` makes. What still runs in a machine is cut off, and not ended."""
        for machine in self.machines:
            self.remove(machine)
        _delete(self._switch)

    def remove(self, machine: Machine) -> None:
        """Remove one machine, if it is there."""
        _delete(_namespace(machine))
        with suppress(OSError):  # there is none, or something still runs in it
            _group(machine).rmdir()

    @property
    def is_up(self) -> bool:
        """Whether the machines are there."""
        return all((NAMESPACES / _namespace(machine)).exists() for machine in self.machines)

    def enter(self, machine: Machine) -> None:
        """From now on the calling thread, and whatever it starts, is in the network of a machine.

        Raises:
            UserError: there is no such machine, or it can't be entered.
        """
        os.environ["no_proxy"] = "*"  # a proxy is for the world, which nobody reaches from there
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with (NAMESPACES / _namespace(machine)).open() as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        except FileNotFoundError:
            raise UserError(f"machine {machine.name} is not there; `oda machines up` makes it") from None
        except OSError as error:
            raise UserError(f"machine {machine.name} can't be entered: {error.strerror}") from None

    def inside(self, machine: Machine, command: list[str]) -> list[str]:
        """What runs a command in a machine, under its host name; it keeps the process' number."""
        entry = ["nsenter", f"--net={NAMESPACES / _namespace(machine)}", "unshare", "--uts", "--mount"]
        return [*entry, "sh", "-c", _INSIDE, "sh", str(_group(machine)), str(self._hosts), machine.name, *command]

    def kill(self, machine: Machine) -> int:
        """SIGKILL to all processes of a machine, as if it lost its power; returns how many there were."""
        killed: set[int] = set()
        while pids := set(map(int, _sh(f"ip netns pids {_namespace(machine)}").split())) - {os.getpid()}:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= pids
        return len(killed)

    def cut(self, machine: Machine) -> None:
        """Its link is down: nobody reaches it, and it reaches nobody, until `mend`."""
        _sh(f"ip -n {self._switch} link set {machine.name} down")

    def mend(self, machine: Machine) -> None:
        """Its link is up again."""
        _sh(f"ip -n {self._switch} link set {machine.name} up")

    def separate(self, one: Machine, other: Machine) -> None:
        """These two don't hear each other any more, and both hear all others, until `unite`; one pair at a time."""
        self._isolate(one, other, "on")

    def unite(self, one: Machine, other: Machine) -> None:
        """They hear each other again."""
        self._isolate(one, other, "off")

    def _isolate(self, one: Machine, other: Machine, whether: str) -> None:
        # Of two ports that are isolated, a switch carries nothing from one to the other.
        for machine in (one, other):
            _sh(f"ip -n {self._switch} link set {machine.name} type bridge_slave isolated {whether}")


def _namespace(machine: Machine) -> str:
    if machine.namespace is None:
        raise UserError("the environment has no servers.machines: its servers are on this computer itself (`oda up`)")
    return machine.namespace


def _group(machine: Machine) -> Path:
    """Its control group, of either version: all have the same weight."""
    parent = _GROUPS if (_GROUPS / "cgroup.controllers").exists() else _GROUPS / "cpu"
    return parent / _namespace(machine)


def _make_group(machine: Machine) -> None:
    group = _group(machine)
    with suppress(OSError):
        group.mkdir(exist_ok=True)
        if (control := group.parent / "cgroup.subtree_control").exists():
            control.write_text("+cpu")


def _delete(name: str) -> None:
    if (NAMESPACES / name).exists():
        _sh(f"ip netns del {name}")


def _sh(script: str) -> str:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"the machines' network could not be changed: {done.stderr.strip()}")
    return done.stdout
