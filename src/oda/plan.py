"""How large a cluster must be, from what the parts were measured to cost (docs/capacity.md).

Pure: figures in, figures out. The model is linear: what a reading costs a process is `a + b * w`, with `w` the windows
that close for each reading. A series with few readings has many windows for each, and few readings in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import NamedTuple

import msgspec
import numpy as np

WINDOW_SECONDS = 2.0
COMPONENTS = ("readings", "windows", "anomalies", "cassandra", "elasticsearch", "kafka")
STORES = ("kafka", "cassandra", "elasticsearch")

MACHINE_CORES = 8
MACHINE_DISK = 2e12
"""A machine's, bytes."""

BUSY = 0.6
"""How much of a core, or of a disk, may be taken: the rest is for peaks, compaction and working off a backlog."""

REPLICAS = {"kafka": 3, "cassandra": 3, "elasticsearch": 2}
"""As the environment `cluster` of config.json has them."""


class Measured(msgspec.Struct):
    """A run of `oda bench cost`: CPU seconds and MiB by process, bytes by store."""

    series: int
    readings: int
    windows: float
    cpu: dict[str, float]
    memory: dict[str, float]
    disk: dict[str, int]


class Load(NamedTuple):
    """What is planned for: series, readings a second over all of them, days that are kept."""

    series: int
    rate: float
    days: float

    @property
    def windows_per_reading(self) -> float:
        """A window has at least one reading."""
        return min(1.0, self.series / WINDOW_SECONDS / self.rate)


class Plan(NamedTuple):
    """What it takes.

    Attributes:
        executors: processes of each component of the topology.
        partitions: of the readings topic.
        workers: Storm's, one a machine.
        nodes: brokers and nodes of each store, by name.
        disk: bytes of each store, over all its nodes.
        state: bytes of memory of all window bolts.
    """

    executors: dict[str, int]
    partitions: int
    workers: int
    nodes: dict[str, int]
    disk: dict[str, float]
    state: float


class Model:
    """Fitted to runs of at least two sizes."""

    def __init__(self, runs: Iterable[Measured]) -> None:
        runs = list(runs)
        self._cpu = _fit(runs, lambda run: run.cpu)
        self._disk = _fit(runs, lambda run: run.disk)
        memory = [run.memory["windows"] * 2**20 for run in runs]
        self.bytes_per_series, self._bytes_at_start = map(float, np.polyfit([run.series for run in runs], memory, 1))

    def cpu(self, process: str, windows_per_reading: float) -> float:
        """CPU seconds of one reading."""
        return _at(self._cpu[process], windows_per_reading)

    def disk(self, store: str, windows_per_reading: float) -> float:
        """Bytes of one reading with all that comes of it."""
        return _at(self._disk[store], windows_per_reading)

    def memory(self, series: int) -> float:
        """Bytes of the process of a window bolt that has them all."""
        return self._bytes_at_start + self.bytes_per_series * series

    def plan(self, load: Load) -> Plan:
        """Round up, but for `BUSY`."""
        density = load.windows_per_reading
        cores = {process: self.cpu(process, density) * load.rate for process in self._cpu}
        executors = {name: max(1, ceil(cores[name] / BUSY)) for name in COMPONENTS}
        storm = sum(cores[name] for name in (*COMPONENTS, "worker"))
        kept = load.rate * 86_400 * load.days
        disk = {store: self.disk(store, density) * kept * REPLICAS[store] for store in STORES}
        nodes = {
            store: max(
                REPLICAS[store],
                ceil(cores[f"{store} server"] * REPLICAS[store] / BUSY / MACHINE_CORES),
                ceil(disk[store] / BUSY / MACHINE_DISK),
            )
            for store in STORES
        }
        # Twice as many as executors: a partition belongs to one of each component, and they are not equally full.
        partitions = max(nodes["kafka"], 2 * max(executors.values()))
        workers = ceil(storm / BUSY / MACHINE_CORES)
        return Plan(executors, partitions, workers, nodes, disk, load.series * self.bytes_per_series)


_Line = tuple[float, float]


def _fit(runs: list[Measured], figures: Callable[[Measured], Mapping[str, float]]) -> dict[str, _Line]:
    """Least squares of the relative error, for what each run has by name."""
    density = np.array([run.windows / run.readings for run in runs])
    lines = {}
    for name in figures(runs[0]):
        each = np.array([figures(run)[name] / run.readings for run in runs])
        terms = np.column_stack([np.ones_like(density), density]) / each[:, None]
        a, b = np.linalg.lstsq(terms, np.ones_like(each), rcond=None)[0]
        lines[name] = float(a), float(b)
    return lines


def _at(line: _Line, windows_per_reading: float) -> float:
    return line[0] + line[1] * windows_per_reading
