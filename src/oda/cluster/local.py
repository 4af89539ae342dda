"""The local cluster as a whole, on one machine or on several that are this computer: up, down, status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import psutil
from tenacity import RetryError, Retrying, retry_if_not_exception_type, stop_after_delay, wait_fixed

from oda.cluster import processes
from oda.cluster.broker import Broker
from oda.cluster.cassandra import CassandraNode
from oda.cluster.elasticsearch import ElasticsearchNode
from oda.cluster.layout import Layout
from oda.cluster.memory import free_mb
from oda.cluster.network import Network
from oda.cluster.server import Server
from oda.cluster.software import Software
from oda.cluster.storm_daemons import UI, Logviewer, Nimbus, Supervisor
from oda.cluster.zookeeper import ZooKeeper
from oda.errors import UserError

KINDS: tuple[type[Server], ...] = (
    *(ZooKeeper, ElasticsearchNode, CassandraNode, Broker),
    *(Nimbus, Supervisor, UI, Logviewer),
)
"""In the order of their start."""

ONE_AFTER_ANOTHER = ("elasticsearch", "cassandra", "kafka")
"""Kinds that several machines on one computer start in turn: each takes all of its cores."""

START_SECONDS = 600
"""How long a server may take to serve; a cold disk and busy cores make it minutes."""

ASK_SECONDS = 0.3
"""Between two questions to a server that does not serve yet."""

ASK_SHARED_SECONDS = 2.0
"""The same, where three of each kind start on the same cores: questions cost, too."""

_FIRST = ("nice", "-n", "-10")
"""Of those that share a machine's part of the cores: as much as nine others, if it wants that."""

LOG_LINES = 25
"""How much of the log of a server that failed is shown."""


Running = dict[str, psutil.Process]
"""The servers that run, by name."""


class ServerFailedError(UserError):
    """A server ended or did not serve in time; the message names its log and shows the end of it."""


class _CancelledError(Exception):
    """Another server failed, or the user gave up."""


@dataclass(frozen=True)
class Status:
    """One server as it is now.

    Attributes:
        pid: of its first process, None when there is none.
        rss_mb: resident memory of all its processes, MiB; a supervisor's include its workers.
        problem: why it doesn't serve, None when it does.
    """

    server: Server
    pid: int | None
    rss_mb: int
    problem: str | None


class LocalCluster:
    """The servers of one layout, or some kinds of them.

    Of several machines, whoever asks them has to be in the network of one.

    Attributes:
        network: the machines, if they are several; they have to be up.
        servers: all of them, in the order of their start.
    """

    def __init__(self, layout: Layout, software: Software, kinds: Sequence[type[Server]] = KINDS) -> None:
        self.layout = layout
        self.network = Network(layout) if layout.is_shared else None
        self.servers: list[Server] = [
            kind(layout, software, number) for kind in kinds for number in range(1, len(layout.places[kind.kind]) + 1)
        ]

    def up(self, on_ready: Callable[[Server, float], None]) -> list[Server]:
        """Start the servers that don't run, wait until all serve; returns those that it started.

        `on_ready` is called, from several threads, with each server that it started and the seconds that took. When
        one fails, or on Ctrl-C, those that this call started are ended again.

        Raises:
            UserError: a port is taken, or memory is short.
            ServerFailedError: a server did not come up.
        """
        running = processes.find_servers(self.layout.data)
        missing = [server for server in self.servers if server.name not in running]
        # A server that died may have left processes behind, on its ports.
        processes.end(self.layout.data, [server.name for server in missing if not server.adopts])
        adopted = [process.pid for family in processes.find(self.layout.data).values() for process in family]
        if not self.layout.is_shared:  # in the networks of machines of ours is nobody else
            check_ports(missing, adopted)
        check_memory(missing)
        # One after another: Storm's daemons share a configuration, and one may be reading it already.
        for server in missing:
            server.prepare()
        try:
            self._start_all(running, on_ready)
        except BaseException:
            self.down([server.name for server in missing])
            raise
        return missing

    def down(self, names: Collection[str] | None = None) -> int:
        """End all servers, or these, with all that they started; returns the number of processes."""
        if names is None:
            # Those too that config.json listed when they were started, and no longer does.
            names = processes.find(self.layout.data).keys()
        # Who needs another goes first: nimbus would wait for a ZooKeeper that is gone.
        first = [server.name for server in self.servers if server.after and server.name in names]
        return processes.end(self.layout.data, first) + processes.end(self.layout.data, names)

    def status(self) -> list[Status]:
        """Every server as it is now; asks them all at once."""
        found, running = processes.find(self.layout.data), processes.find_servers(self.layout.data)

        def ask(server: Server) -> Status:
            return _status(server, running.get(server.name), found.get(server.name, []))

        with ThreadPoolExecutor(len(self.servers)) as pool:
            return list(pool.map(ask, self.servers))

    def _start_all(self, running: Running, on_ready: Callable[[Server, float], None]) -> None:
        give_up = threading.Event()
        serving: dict[str, Future[None]] = {}

        def run(server: Server) -> None:
            for other in self.servers:
                if other.kind in self._before(server):
                    serving[other.name].result()
            began = time.monotonic()
            process = running[server.name] if server.name in running else self._start(server)
            _wait(server, process, give_up, ASK_SHARED_SECONDS if self.layout.is_shared else ASK_SECONDS)
            if server.name not in running:
                on_ready(server, time.monotonic() - began)

        with ThreadPoolExecutor(len(self.servers)) as pool:
            for server in self.servers:
                serving[server.name] = pool.submit(run, server)
            try:
                done, _ = wait(serving.values(), return_when=FIRST_EXCEPTION)
            finally:
                give_up.set()
        for future in done:
            future.result()

    def _start(self, server: Server) -> psutil.Process:
        command = self.command(server)
        return processes.start(self.layout.data, server.name, command, server.environment(), server.log)

    def command(self, server: Server) -> list[str]:
        """What starts a server, on its machine."""
        command = server.command()
        if self.network is None:
            return command
        return self.network.inside(server.machine, [*_FIRST, *command] if server.decides else command)

    def _before(self, server: Server) -> tuple[str, ...]:
        """The kinds that must serve first."""
        if self.layout.is_shared and server.kind in ONE_AFTER_ANOTHER:
            return ONE_AFTER_ANOTHER[: ONE_AFTER_ANOTHER.index(server.kind)]
        return server.after


def _wait(server: Server, process: psutil.Process, give_up: threading.Event, pause: float) -> None:
    def ask() -> None:
        if give_up.is_set():
            raise _CancelledError
        if not processes.lives(process):
            raise ServerFailedError(_failure(server, "ended"))
        if not server.listens():
            raise ConnectionError(f"nothing listens on port {server.ports[0]}")
        server.probe()

    retry = retry_if_not_exception_type((_CancelledError, ServerFailedError))
    try:
        Retrying(retry=retry, stop=stop_after_delay(START_SECONDS), wait=wait_fixed(pause))(ask)
    except RetryError as error:
        cause = error.last_attempt.exception()
        raise ServerFailedError(_failure(server, f"does not serve after {START_SECONDS} s ({cause})")) from None


def check_ports(servers: list[Server], ours: Collection[int]) -> None:
    """Raises UserError when somebody but the processes `ours` (pids) holds a port that one of these servers needs."""
    ports = {port for server in servers for port in server.ports}
    holders = processes.listeners()
    deadline = time.monotonic() + 5
    # Of a process that is just dying only the port is left, for a moment.
    while any(holders.get(port, 0) is None for port in ports) and time.monotonic() < deadline:
        time.sleep(0.2)
        holders = processes.listeners()
    for server in servers:
        for port in server.ports:
            if port in holders and holders[port] not in ours:
                raise UserError(
                    f"{server.name} needs port {port}, which {_name(holders[port])} holds. "
                    "End that, or give the server another port in config.json."
                )


def check_memory(servers: list[Server]) -> None:
    """Raises UserError when this machine or container has too little free memory for these servers."""
    needed = sum(server.memory_mb for server in servers)
    free = free_mb()
    if free < needed:
        raise UserError(
            f"The servers need about {needed} MB of memory, and {free} MB are free on this machine or in the limit of "
            "its container. End something first, or raise the limit."
        )


def _status(server: Server, process: psutil.Process | None, family: list[psutil.Process]) -> Status:
    rss_mb = sum(map(_rss_mb, family))
    if process is None:
        return Status(server, None, rss_mb, "not running")
    try:
        server.probe()
    except Exception as error:
        return Status(server, process.pid, rss_mb, f"does not serve: {error}".splitlines()[0])
    return Status(server, process.pid, rss_mb, None)


def _rss_mb(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss >> 20
    except psutil.NoSuchProcess:
        return 0


def _name(pid: int | None) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else "another user's process"
    except psutil.NoSuchProcess:
        return f"pid {pid}"


def _failure(server: Server, what: str) -> str:
    lines = server.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"{server.name} {what}. The end of its log, {server.log}:", *(f"  {line}" for line in lines)])
