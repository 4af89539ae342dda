"""How large a cluster must be, from what the parts were measured to cost (docs/capacity.md).

Pure: figures in, figures out. The model is linear: what a reading costs a process is `a + b * w`, with `w` the windows
that close for each reading. A series with few readings has many windows for each, and few readings in a batch. Those
that write snapshots have a cost by the second besides, for each series.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from math import ceil
from statistics import fmean
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.settings import Cassandra
from oda.stores.catalogue import STORES
from oda.stores.place import SLOT_MS

WINDOW_SECONDS = 2.0
COMPONENTS = ("readings", "windows", "anomalies", *(store.name for store in STORES))
"""Processes of the topology."""

SERVED = {store.name: store.copies for store in STORES if store.server}
"""The stores that have servers, and how many copies the environment `cluster` of config.json keeps there."""

SNAPSHOTS = ("windows", "anomalies", "cassandra server")
"""Processes that write the state of all series, about once a second."""

MACHINE_CORES = 8
MACHINE_DISK = 2e12
"""A machine's, bytes."""

BUSY = 0.6
"""How much of a core, or of a disk, may be taken: the rest is for peaks, compaction and working off a backlog."""


MOST_BYTES = 100e6
"""Of a partition of Cassandra's, which it reads and compacts as a whole."""

ROW_BYTES = 120.0
"""Of a closed window, 118 of which were measured with names of 10 characters; more than what a row of packed readings
has besides them, 51. As Cassandra counts a partition, not compressed."""

READING_BYTES = 20.0
"""Of a packed reading."""

FLUSHES_A_SECOND = 5.0
"""The Cassandra sink lets tuples wait for each other for a fifth of a second."""

MIN_BUCKETS: int = Cassandra.model_fields["buckets"].default
"""Few enough for rows to share mutations, and many enough for most."""


class Density(NamedTuple):
    """What the cost of a reading depends on: how many windows close for each, and how many seconds of a series pass."""

    windows: float
    seconds: float


class CostRun(msgspec.Struct):
    """A run of `oda bench cost`: how long it took, CPU seconds and MiB by process, bytes by store."""

    series: int
    readings: int
    windows: float
    seconds: float
    cpu: dict[str, float]
    memory: dict[str, float]
    disk: dict[str, int]

    @property
    def density(self) -> Density:
        """The seconds are those of the run, which may be faster or slower than the readings' own time."""
        return Density(self.windows / self.readings, self.series * self.seconds / self.readings)


class ScaleRun(msgspec.Struct):
    """A run of `oda bench workers --quota`: workers of so many cores each, what they did and used of them."""

    series: int
    workers: int
    quota: float
    readings: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.readings / self.seconds

    @property
    def used(self) -> float:
        """Of the cores that they were given. Much less than 1: something else was in short supply."""
        return self.cpu / self.seconds / self.workers / self.quota

    @property
    def core_seconds(self) -> float:
        """What a reading took of the cores that they were given."""
        return self.workers * self.quota * self.seconds / self.readings


class Demand(NamedTuple):
    """What is planned for: series, readings a second over all of them, days that are kept."""

    series: int
    rate: float
    days: float

    @property
    def density(self) -> Density:
        """A window has at least one reading."""
        return Density(min(1.0, self.series / WINDOW_SECONDS / self.rate), self.series / self.rate)


class Plan(NamedTuple):
    """What it takes.

    Attributes:
        executors: processes of each component of the topology.
        partitions: of the readings topic.
        workers: Storm's, one a machine.
        nodes: brokers and nodes of each store, by name.
        disk: bytes of each store, over all its nodes.
        state: bytes of memory of all window bolts.
        buckets: of series, in Cassandra.
    """

    executors: dict[str, int]
    partitions: int
    workers: int
    nodes: dict[str, int]
    disk: dict[str, float]
    state: float
    buckets: int


class Model:
    """Fitted to runs of at least three sizes, and to runs with one worker and with more.

    Attributes:
        apart: what a reading takes more where workers are many, as a share of what it takes in one.
    """

    def __init__(self, runs: Iterable[CostRun], scaling: Iterable[ScaleRun]) -> None:
        runs = list(runs)
        density = np.array([run.density for run in runs])
        self._cpu = {
            name: _fit(density if name in SNAPSHOTS else density[:, :1], [run.cpu[name] / run.readings for run in runs])
            for name in runs[0].cpu
        }
        self._disk = {
            name: _fit(density[:, :1], [run.disk[name] / run.readings for run in runs]) for name in runs[0].disk
        }
        series = np.array([[run.series] for run in runs])
        self.apart = max(0.0, _apart(list(scaling)))
        self._bytes_at_start, self.bytes_per_series = _fit(series, [run.memory["windows"] * 2**20 for run in runs])

    def cpu(self, process: str, density: Density) -> float:
        """CPU seconds of one reading."""
        return _at(self._cpu[process], density)

    def disk(self, store: str, density: Density) -> float:
        """Bytes of one reading with all that comes of it."""
        return _at(self._disk[store], density)

    def memory(self, series: int) -> float:
        """Bytes of the process of a window bolt that has them all."""
        return self._bytes_at_start + self.bytes_per_series * series

    def plan(self, demand: Demand) -> Plan:
        """Round up, but for `BUSY`."""
        density = demand.density
        cores = {process: self.cpu(process, density) * demand.rate for process in self._cpu}
        workers = self._workers(sum(cores[name] for name in (*COMPONENTS, "worker")))
        # A multiple, so that whatever has to do with a partition is in one worker.
        executors = {name: workers * max(1, ceil(cores[name] / BUSY / workers)) for name in COMPONENTS}
        kept = demand.rate * 86_400 * demand.days
        disk = {store: self.disk(store, density) * kept * copies for store, copies in SERVED.items()}
        nodes = {
            store: max(
                copies,
                ceil(cores[f"{store} server"] * copies / BUSY / MACHINE_CORES),
                ceil(disk[store] / BUSY / MACHINE_DISK),
            )
            for store, copies in SERVED.items()
        }
        # Twice as many as executors: a partition belongs to one of each component, and they are not equally full.
        partitions = max(nodes["kafka"], 2 * max(executors.values()))
        return Plan(executors, partitions, workers, nodes, disk, demand.series * self.bytes_per_series, buckets(demand))

    def _workers(self, cores: float) -> int:
        """So many that these have room for what would take so many cores in one."""
        return next(n for n in count(1) if cores * (1 + self.apart * _away(n)) <= n * MACHINE_CORES * BUSY)


def buckets(demand: Demand) -> int:
    """How many keep Cassandra's partitions small, if no series has a large share of the readings.

    Of the three tables `readings` has the largest: each series has a row in each flush that has readings of it. They
    are planned for half full, as series are not dealt evenly.

    >>> buckets(Demand(series=100_000, rate=100_000, days=30)), buckets(Demand(series=100, rate=100_000, days=30))
    (168, 64)
    """
    rows = min(demand.rate, demand.series * FLUSHES_A_SECOND)
    slot_bytes = (rows * ROW_BYTES + demand.rate * READING_BYTES) * SLOT_MS / 1000
    return max(MIN_BUCKETS, ceil(2 * slot_bytes / MOST_BYTES))


def _away(workers: int) -> float:
    """Of what goes to any worker alike, as acknowledgements do, how much goes to another one.

    >>> [_away(workers) for workers in (1, 2, 4)]
    [0.0, 0.5, 0.75]
    """
    return 1 - 1 / workers


def _apart(runs: list[ScaleRun]) -> float:
    """Mean over the runs with more than one worker, each beside those of one worker and as many series; 0 of none."""
    alone = {
        series: fmean(run.core_seconds for run in runs if run.workers == 1 and run.series == series)
        for series in {run.series for run in runs}
    }
    more = [run for run in runs if run.workers > 1]
    return fmean((run.core_seconds / alone[run.series] - 1) / _away(run.workers) for run in more) if more else 0.0


_Terms = tuple[float, ...]
"""Of a reading, and for each of the parts of its density that count; of a process, and for each series."""


def _fit(parts: NDArray[np.float64], costs: list[float]) -> _Terms:
    """Least squares of the relative error; `parts` has a row for each cost."""
    costs_column = np.array(costs)[:, None]
    terms = np.column_stack([np.ones(len(costs)), parts]) / costs_column
    return tuple(map(float, np.linalg.lstsq(terms, np.ones(len(costs)), rcond=None)[0]))


def _at(terms: _Terms, density: Density) -> float:
    # Fewer terms than parts: only what writes snapshots has one for the seconds.
    return terms[0] + sum(term * part for term, part in zip(terms[1:], density, strict=False))
