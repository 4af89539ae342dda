"""A steady load, and a look at the system from outside each second while it lasts."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing, suppress
from math import ceil
from typing import NamedTuple, Self

import numpy as np
import psutil

from oda.bench.workload import noise
from oda.chaos.system import COMPONENTS, System
from oda.cluster import processes
from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.kafka.group import Group
from oda.settings import Settings

SAMPLE_SECONDS = 1.0
_STEP_SECONDS = 0.01
_SERIES = 100

_MOST_A_PROCESS = 20_000
"""Readings a second that a producer is asked for; about 30,000 take all of a core."""


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


class Load:
    """Produces noise around a level for each series, one reading in a thousand far off, until it is left.

    From processes of its own: as a thread it would hold up whoever measures, and one can't produce fast enough.
    """

    def __init__(self, settings: Settings, rate: int) -> None:
        count = ceil(rate / _MOST_A_PROCESS)
        self._processes = [
            multiprocessing.get_context("spawn").Process(
                target=_produce, args=(settings, rate // count, range(number, _SERIES, count)), daemon=True
            )
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def _produce(settings: Settings, rate: int, series: Sequence[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends this one
    random, sent, began = np.random.default_rng(series[0]), 0, time.monotonic()
    parent = multiprocessing.parent_process()
    with Producer(settings.kafka, settings.kafka.readings) as producer:
        while parent is not None and parent.is_alive():
            time.sleep(_STEP_SECONDS)
            # A second's at most: all of it gets one time, which would be old if it can't keep up.
            due = min(int((time.monotonic() - began) * rate) - sent, rate)
            now = time.time_ns() // 1_000_000
            for value in noise(random, due).tolist():
                reading = Reading(f"bench-{series[sent % len(series)]}", now, value)
                producer.send(encode(reading), reading.series.encode())
                sent += 1


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
    by_name |= {f"component {name}": system.component(name) for name in COMPONENTS}
    return {name: sum(map(rss, family)) for name, family in by_name.items() if family}


def rss(process: psutil.Process) -> float:
    """Resident MiB; 0 of a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / 2**20)
    return 0.0
