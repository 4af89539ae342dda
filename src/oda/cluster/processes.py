"""Starts, finds and ends the processes of a cluster.

Each process carries a mark in its environment: the cluster's data folder and the server's name. The
mark is inherited, so it also finds a supervisor's workers and their Python components, whichever
supervisor started them; and as it is part of the process itself, a process that happens to get the
number of one that died is never taken for it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "ODA_SERVER"

GRACE_SECONDS = 20.0
"""How long a process may take to end by itself."""


def start(data: Path, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> psutil.Process:
    """Start a server of the cluster in `data`, in a session of its own, so that it outlives this terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=data,
            env={**environment, MARK: f"{data}:{name}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return psutil.Process(child.pid)


def lives(process: psutil.Process) -> bool:
    """Whether a process is still there, and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find(data: Path) -> dict[str, list[psutil.Process]]:
    """The living processes of the cluster in `data` by server, with what each one started."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        # Gone meanwhile, already a zombie, or somebody else's: none of ours.
        with suppress(psutil.Error):
            folder, _, name = process.environ().get(MARK, "").rpartition(":")
            if folder == str(data):
                found.setdefault(name, []).append(process)
    return found


def find_servers(data: Path) -> dict[str, psutil.Process]:
    """The processes of `find` that `start` started: not the workers that a dead supervisor left behind."""
    return {name: process for name, processes in find(data).items() for process in processes if _leads(process)}


def _leads(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def end(data: Path, names: Collection[str]) -> int:
    """End these servers and all that they started; returns how many processes that were.

    SIGTERM first, SIGKILL after `GRACE_SECONDS`. It looks again until there are none, since a
    supervisor may start a worker meanwhile.
    """
    told: set[psutil.Process] = set()
    deadline = time.monotonic() + GRACE_SECONDS
    while left := [p for name, processes in find(data).items() if name in names for p in processes]:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                if time.monotonic() > deadline:
                    process.kill()
                elif process not in told:
                    process.terminate()
        told.update(left)
        time.sleep(0.1)
    return len(told)


def listeners() -> dict[int, int | None]:
    """Each TCP port of this machine that somebody listens on, and who: a pid, or None if it may not be known."""
    connections = psutil.net_connections("tcp")
    return {c.laddr.port: c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr}
