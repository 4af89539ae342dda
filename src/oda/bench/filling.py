"""Loads that take all a store can do: many writers, each with the next row as soon as the one before is durable."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from tenacity import Retrying, retry_if_not_exception_type, stop_after_delay, wait_fixed

from oda.bench.workload import series_name
from oda.cluster.software import Software
from oda.core.kinds import WINDOWS, ClosedWindow
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.kafka.group import Group
from oda.kafka.topics import create_topic
from oda.security import password
from oda.settings import Kafka, Settings
from oda.stores.catalogue import STORES, Description
from oda.stores.contract import Rows
from oda.stores.place import SLOT_MS

PARTS = 6
"""Partitions, and shards: as many for each of one, two and three nodes."""

_WRITERS = 9
"""Processes. Each waits for the node that answers last; so many that none of the nodes waits for them."""

_SERIES = 1000
"""As many rows are written at once."""

_GIVE_UP_SECONDS = 120

_TOLD = 2000
"""Characters of a log that is told."""


class Filling(ABC):
    """A load, from when it is entered until it is left."""

    @abstractmethod
    def written(self) -> int:
        """How many rows are durable by now. Raises UserError when it has ended."""

    @property
    @abstractmethod
    def pids(self) -> list[int]:
        """Of its processes."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It writes nothing meanwhile."""
        processes = [psutil.Process(pid) for pid in self.pids]
        for process in processes:
            process.suspend()
        yield
        for process in processes:
            process.resume()

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Windows(Filling):
    """Closed windows of many series, as a sink writes them."""

    def __init__(self, settings: Settings, store: Description) -> None:
        with closing(store.open(settings)) as opened:
            opened.migrate()
        context = multiprocessing.get_context("spawn")
        self._counts = [context.Value("q", 0) for _ in range(_WRITERS)]
        self._processes = [
            context.Process(target=_write, args=(settings, store.name, number, count), daemon=True)
            for number, count in enumerate(self._counts)
        ]

    def written(self) -> int:
        if not all(process.is_alive() for process in self._processes):
            raise UserError("a writer of the load has ended: what it was refused stands above")
        return sum(count.value for count in self._counts)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.pid]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()  # it may be paused
            process.join()


class Readings(Filling):
    """Readings into Kafka by its own tool for that: kafka-python would take more of the cores than several brokers."""

    def __init__(self, settings: Kafka, software: Software, folder: Path) -> None:
        self._settings, self._folder, self._java = settings, folder, str(software.jdk / "bin/java")
        self._classpath = os.pathsep.join(map(str, software.cache.files("kafka")))

    def written(self) -> int:
        if self._process.poll() is not None:
            said = self._log.read_text(errors="replace")[-_TOLD:]
            raise UserError(f"Kafka's tool for loads has ended with exit code {self._process.returncode}:\n{said}")
        return sum(self._group.ends().values())

    def __enter__(self) -> Self:
        create_topic(self._settings, self._settings.readings, PARTS, self._settings.replication)
        self._group = Group(self._settings)
        # A broker may not have heard of it yet.
        Retrying(stop=stop_after_delay(_GIVE_UP_SECONDS), wait=wait_fixed(0.5), reraise=True)(self._group.ends)
        payload, config = self._folder / "readings.json", self._folder / "client.properties"
        now = time.time_ns() // 1_000_000
        payload.write_bytes(b"\n".join(encode(Reading(series_name(n), now, n / 7)) for n in range(_SERIES)))
        config.touch(0o600)
        config.write_text("\n".join(f"{name}={value}" for name, value in _properties(self._settings).items()))
        command = [self._java, "-cp", self._classpath, "org.apache.kafka.tools.ProducerPerformance"]
        command += ["--topic", self._settings.readings, "--num-records", str(10**12), "--throughput", "-1"]
        command += ["--payload-file", str(payload), "--command-config", str(config)]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._group.close()
        self._process.kill()  # with all that it has not sent yet
        self._process.wait()

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    @property
    def _log(self) -> Path:
        return self._folder / "load.log"


def _properties(settings: Kafka) -> dict[str, object]:
    """Of a Java client that sends as a collector does."""
    found: dict[str, object] = {"bootstrap.servers": settings.brokers, "batch.size": 128 * 1024, "linger.ms": 5}
    security = settings.security
    if security.ca:
        found |= {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": security.ca}
    if security.user:
        account = f'username="{security.user}" password="{password(security)}"'
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        found |= {"security.protocol": "SASL_SSL", "sasl.mechanism": security.mechanism}
        found |= {"sasl.jaas.config": f"{module} required {account};"}
    return found


def _write(settings: Settings, name: str, number: int, written: Synchronized[int]) -> None:
    """Write until it is ended; what a node without time did not answer is written again, as a sink does."""
    parent = multiprocessing.parent_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends this one
    description = next(store for store in STORES if store.name == name)
    retry, stop = retry_if_not_exception_type(UserError), stop_after_delay(_GIVE_UP_SECONDS)
    again = Retrying(retry=retry, stop=stop, wait=wait_fixed(0.5), reraise=True)
    with closing(description.open(settings)) as store:
        for rows in _rows(number):
            if parent is None or not parent.is_alive():
                return
            again(store.write, [Rows(WINDOWS, number, time.time_ns() // 1_000_000, rows)])
            written.value += len(rows)


def _rows(number: int) -> Iterator[list[ClosedWindow]]:
    """One window of each series at a time, each in another slot: no node has more of them than others for long."""
    now, size = time.time_ns() // 1_000_000, 2000
    for turn in itertools.count(1):
        start, first = (now - turn * SLOT_MS) // size * size, turn * _SERIES * 20
        yield [
            ClosedWindow(
                series=f"{number}-{series_name(one)}",
                start=start,
                end=start + size,
                count=20,
                mean=one / 7,
                stddev=one / 11,
                first_offset=first + one * 20,
                last_offset=first + one * 20 + 19,
                closed_at=first + one * 20 + 20,
                closed_by="data",
                late=0,
            )
            for one in range(_SERIES)
        ]
