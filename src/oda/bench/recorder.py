"""A look at a running system from outside, each second."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from typing import NamedTuple, Self

import psutil

from oda.chaos.system import SCRIPTS, System
from oda.cluster import processes
from oda.kafka.group import Group

SAMPLE_SECONDS = 1.0


class Sample(NamedTuple):
    """One look from outside.

    `at` is of the monotonic clock, `committed` and `end` are sums over the partitions, `memory` is
    resident MiB by process, `workers` the pids of the workers.
    """

    at: float
    committed: int
    end: int
    memory: dict[str, float]
    workers: frozenset[int]

    @property
    def behind(self) -> int:
        """Readings in the log that are not committed."""
        return self.end - self.committed


class Background(ABC):
    """Runs in a thread of its own until it is left. A subclass calls this constructor last."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Work until `_over` is set."""


class Recorder(Background):
    """Takes samples until it is left."""

    def __init__(self, system: System) -> None:
        self.samples: list[Sample] = []
        self._system = system
        super().__init__()

    @property
    def newest(self) -> Sample:
        """The newest sample; waits for the first."""
        while not self.samples:
            time.sleep(SAMPLE_SECONDS / 10)
        return self.samples[-1]

    def _run(self) -> None:
        with closing(Group(self._system.settings.kafka)) as group:
            while not self._over.wait(SAMPLE_SECONDS):
                committed, end = sum(group.committed().values()), sum(group.ends().values())
                workers = frozenset(process.pid for process in self._system.workers())
                self.samples.append(Sample(time.monotonic(), committed, end, _memory(self._system), workers))


def _memory(system: System) -> dict[str, float]:
    """Resident MiB of each process that there is; of a server with all that it started."""
    found = processes.find(system.cluster.layout.data)
    found |= {name: system.server(name) for name in system.supervisors}  # without the workers
    by_name = {f"server {name}": found.get(name, []) for name in (server.name for server in system.cluster.servers)}
    by_name["worker"] = system.workers()
    by_name |= {f"component {name}": system.component(name) for name in SCRIPTS}
    return {name: sum(map(rss, family)) for name, family in by_name.items() if family}


def rss(process: psutil.Process) -> float:
    """Resident MiB; 0 of a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / 2**20)
    return 0.0
