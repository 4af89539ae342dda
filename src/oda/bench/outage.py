"""What a store that is down for minutes costs: memory, failed tuples, and the work afterwards.

The load goes on all the time. For comparison the topology is held back for a minute before (Storm
deactivates it, everything stays up), so that it has a backlog to work off that no outage caused.
"""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

import numpy as np
import psutil
from kafka import KafkaConsumer, TopicPartition

from oda.chaos.faults import kill
from oda.chaos.system import COMPONENTS, System
from oda.cluster import processes
from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.settings import Settings

SETTLE_SECONDS = 30.0
"""Memory grows at first: of young processes before the outage, of what waits in bounds at its start."""

_HELD_BACK_SECONDS = 60.0
_SAMPLE_SECONDS = 1.0
_STEP_SECONDS = 0.01
_SERIES = 100
_RETRY = re.compile(r"attempt \d+ failed")


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


class Work(NamedTuple):
    """A backlog being worked off: `first` is the first sample that saw a commit after `began`."""

    began: Sample
    first: Sample
    last: Sample

    @property
    def per_second(self) -> float:
        """Readings a second, from the first commit on."""
        return (self.last.committed - self.first.committed) / (self.last.at - self.first.at)


class Outcome(NamedTuple):
    """What was measured.

    Attributes:
        samples: from the first to the last, about one a second.
        down: when the store was killed and when it was started again, of the monotonic clock.
        reference: the backlog worked off before the outage.
        after: the backlog worked off after it.
        failed: tuples that failed (timed out) at the spout.
        retries: attempts that the bolts have logged as failed.
    """

    samples: list[Sample]
    down: tuple[float, float]
    reference: Work
    after: Work
    failed: int
    retries: int

    def during(self) -> list[Sample]:
        """The samples of the outage, once what is bounded has had time to fill."""
        begin, end = self.down
        return [sample for sample in self.samples if begin + SETTLE_SECONDS <= sample.at < end]


def measure(system: System, store: str, seconds: float, rate: int, tell: Callable[[str], None]) -> Outcome:
    """Measure an outage; the store runs again and the load has ended when this returns or raises.

    Args:
        system: its topology was just submitted, its topic is empty.
        store: name of the server that is killed.
        seconds: for how long it is down.
        rate: readings a second, all the time.
        tell: called with what is being done.

    Raises:
        UserError: the backlog was not worked off.
    """
    with _Load(system.settings, rate), _Recorder(system) as recorder:
        tell("warming up")
        time.sleep(SETTLE_SECONDS)
        tell("held back for comparison")
        with _held_back(system):
            time.sleep(_HELD_BACK_SECONDS)
        tell("working that off")
        reference = _work_off(recorder, rate)
        tell("running")
        time.sleep(SETTLE_SECONDS)
        failed, began = _failed(system), time.monotonic()
        tell(f"{store} is down")
        with _down(system, store):
            time.sleep(seconds)
            ended = time.monotonic()
            tell(f"{store} starts")
        tell("working off the backlog")
        after = _work_off(recorder, rate)
        failed = _failed(system) - failed
    tell("waiting until the clock has closed the last windows")
    window = system.settings.window
    time.sleep(SETTLE_SECONDS / 2 + (window.size_ms + window.lateness_ms + window.idle_ms) / 1000)
    return Outcome(recorder.samples, (began, ended), reference, after, failed, _retries(system))


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


class _Load(_Background):
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


class _Recorder(_Background):
    """Takes samples until it is left."""

    def __init__(self, system: System) -> None:
        self.samples: list[Sample] = []
        self._system = system
        super().__init__()

    @property
    def newest(self) -> Sample:
        """The newest sample; waits for the first."""
        while not self.samples:
            time.sleep(_SAMPLE_SECONDS / 10)
        return self.samples[-1]

    def _run(self) -> None:
        config = self._system.settings.kafka
        consumer = KafkaConsumer(
            bootstrap_servers=config.brokers.split(","), group_id=config.group, enable_auto_commit=False
        )
        partitions = [TopicPartition(config.readings, number) for number in range(config.partitions)]
        while not self._over.wait(_SAMPLE_SECONDS):
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


@contextmanager
def _held_back(system: System) -> Iterator[None]:
    system.storm.deactivate(system.topology)
    try:
        yield
    finally:
        system.storm.activate(system.topology)


@contextmanager
def _down(system: System, store: str) -> Iterator[None]:
    kill(processes.find(system.cluster.layout.data).get(store, []))
    try:
        yield
    finally:
        system.mend()


def _work_off(recorder: _Recorder, rate: int) -> Work:
    """Wait until no more is waiting than comes in between two commits."""
    began = first = newest = recorder.newest
    limit = began.at + 120 + began.behind / rate * 5
    while newest.behind > 2 * rate:
        if newest.at > limit:
            raise UserError(f"after {newest.at - began.at:.0f} s {newest.behind} readings are still not worked off")
        time.sleep(_SAMPLE_SECONDS)
        newest = recorder.newest
        if first.committed == began.committed:
            first = newest
    return Work(began, first, newest)


def _failed(system: System) -> int:
    topology = system.storm.ask(f"topology/{system.storm.topology_id(system.topology)}?window=:all-time")
    return sum(spout["failed"] for spout in topology["spouts"])


def _retries(system: System) -> int:
    folder = system.cluster.layout.logs / "workers-artifacts" / str(system.storm.topology_id(system.topology))
    return sum(len(_RETRY.findall(log.read_text(errors="replace"))) for log in folder.glob("*/worker.log"))
