"""A steady load, and a look at the system from outside each second while it lasts."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import NamedTuple, Self

import numpy as np
import psutil
from kafka import KafkaConsumer, TopicPartition

from oda.chaos.system import COMPONENTS, System
from oda.cluster import processes
from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.settings import Settings

SAMPLE_SECONDS = 1.0
_STEP_SECONDS = 0.01
_SERIES = 100


class Sample(NamedTuple):
    """One look from outside.

    `at` is of the monotonic clock, `committed` and `end` are sums over the partitions, `memory` is
    resident MiB by process, `pids` the worker's.
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


class _Background(ABC):
    """Runs in a thread of its own until it is left."""

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


class Load(_Background):
    """Produces noise around a level for each series, one reading in a thousand far off, until it is left."""

    def __init__(self, settings: Settings, rate: int) -> None:
        self._settings = settings
        self._rate = rate
        super().__init__()

    def _run(self) -> None:
        random, sent, began = np.random.default_rng(1), 0, time.monotonic()
        with Producer(self._settings.kafka, self._settings.kafka.readings) as producer:
            while not self._over.wait(_STEP_SECONDS):
                # In small steps, so that it can be ended even if it can't keep up.
                due = min(int((time.monotonic() - began) * self._rate) - sent, self._rate // 10)
                now = time.time_ns() // 1_000_000
                for value in (random.normal(size=due) + 50.0 * (random.random(due) < 0.001)).tolist():
                    reading = Reading(f"bench-{sent % _SERIES}", now, value)
                    producer.send(encode(reading), reading.series.encode())
                    sent += 1


class Recorder(_Background):
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
        config = self._system.settings.kafka
        consumer = KafkaConsumer(
            bootstrap_servers=config.brokers.split(","), group_id=config.group, enable_auto_commit=False
        )
        partitions = [TopicPartition(config.readings, number) for number in range(config.partitions)]
        while not self._over.wait(SAMPLE_SECONDS):
            committed = sum(consumer.committed(partition) or 0 for partition in partitions)
            end = sum(consumer.end_offsets(partitions).values())
            memory = _memory(self._system)
            workers = frozenset(process.pid for process in self._system.worker())
            self.samples.append(Sample(time.monotonic(), committed, end, memory, workers))
        consumer.close()


def _memory(system: System) -> dict[str, float]:
    """Resident MiB of each process that there is; of a server with all that it started."""
    found = processes.find(system.cluster.layout.data)
    found["supervisor"] = system.server("supervisor")  # without the workers
    by_name = {f"server {name}": found.get(name, []) for name in (server.name for server in system.cluster.servers)}
    by_name["worker"] = system.worker()
    by_name |= {f"component {name}": system.component(name) for name in COMPONENTS}
    return {name: sum(map(_rss, family)) for name, family in by_name.items() if family}


def _rss(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / 2**20)
    return 0.0
