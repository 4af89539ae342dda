"""What a demand takes of machines and disks, by what was measured.

The model is linear: what a reading costs a process is `a + b * w`, with `w` the windows that close for each reading. A
series with few readings has many windows for each, and few readings in a batch. Those that write snapshots have a cost
by the second besides, for each series. What groups take besides (`oda.plan.groups`) is added to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.errors import UserError
from oda.plan.buckets import buckets
from oda.plan.demand import Demand, Density
from oda.plan.groups import GroupLoad, load
from oda.plan.measured import CostRun, GroupRun, NodeRun, ScaleRun
from oda.plan.several import apart, machines, spread
from oda.stores.catalogue import STORES

COMPONENTS = ("readings", "windows", "anomalies", *(store.name for store in STORES))
"""Processes of the topology, but for those of groups."""

SERVED = {store.name: store.copies for store in STORES if store.server}
"""The stores that have servers, and how many copies the environment `cluster` of config.json keeps there."""

SNAPSHOTS = ("windows", "anomalies", "cassandra server")
"""Processes that write the state of series, about every two seconds."""

MACHINE_CORES = 8
MACHINE_DISK = 2e12
"""A machine's, bytes."""

BUSY = 0.6
"""How much of a core, or of a disk, may be taken: the rest is for peaks, compaction and working off a backlog."""


class Plan(NamedTuple):
    """What it takes.

    Attributes:
        executors: processes of each component of the topology; `groups` only if there are any: of their spout, and as
            many of their bolt.
        partitions: of the readings topic.
        workers: Storm's, one a machine.
        nodes: brokers and nodes of each store, by name.
        disk: bytes of each store, over all its nodes.
        state: bytes of memory of all window and anomaly bolts.
        waiting: the same of all groups bolts.
        buckets: of series, in Cassandra.
    """

    executors: dict[str, int]
    partitions: int
    workers: int
    nodes: dict[str, int]
    disk: dict[str, float]
    state: float
    waiting: float
    buckets: int


class Model:
    """Fitted to runs of at least three sizes, and to runs with one worker or node and with more.

    Args:
        runs: of `oda bench cost`.
        scaling: of `oda bench workers --quota`; may be none.
        groups: of `oda bench groups`.
        nodes: of `oda bench nodes`; may be none.

    Attributes:
        apart: what a reading takes more where workers are many, as a share of what it takes in one.
        spread: the same of each store.
    """

    def __init__(
        self,
        runs: Iterable[CostRun],
        scaling: Iterable[ScaleRun],
        groups: Iterable[GroupRun],
        nodes: Iterable[NodeRun] = (),
    ) -> None:
        runs = list(runs)
        self._groups = list(groups)
        density = np.array([run.density for run in runs])
        self._cpu = {
            name: _fit(density if name in SNAPSHOTS else density[:, :1], [run.cpu[name] / run.readings for run in runs])
            for name in runs[0].cpu
        }
        self._disk = {
            name: _fit(density[:, :1], [run.disk[name] / run.readings for run in runs]) for name in runs[0].disk
        }
        series = np.array([[run.series] for run in runs])
        self.apart = apart(list(scaling))
        nodes = list(nodes)
        self.spread = {store: spread([run for run in nodes if run.store == store]) for store in SERVED}
        self._bytes_at_start, self.bytes_per_series = _fit(series, [run.state_mb * 2**20 for run in runs])

    def cpu(self, process: str, density: Density) -> float:
        """CPU seconds of one reading."""
        return _at(self._cpu[process], density)

    def disk(self, store: str, density: Density) -> float:
        """Bytes of one reading with all that comes of it."""
        return _at(self._disk[store], density)

    def memory(self, series: int) -> float:
        """Bytes of a window bolt and an anomaly bolt that have them all."""
        return self._bytes_at_start + self.bytes_per_series * series

    def plan(self, demand: Demand) -> Plan:
        """Round up, but for `BUSY`. Raises UserError if a group is too large for the executor that it belongs to."""
        of_groups = load(self._groups, demand)
        _require_mergeable(of_groups)
        kept_seconds = 86_400 * demand.days
        demand = demand.with_derived
        density = demand.density
        cores = {process: self.cpu(process, density) * demand.rate for process in self._cpu}
        cores["kafka"] += of_groups.told
        components = {name: cores[name] for name in COMPONENTS}
        in_one = cores["worker"] + sum(components.values()) + of_groups.read + of_groups.merged
        workers = machines(in_one, MACHINE_CORES * BUSY, self.apart)
        if of_groups.merged:
            # There are as many of the spout as of the bolt: the busier says how many.
            components["groups"] = max(of_groups.read, of_groups.merged)
        # A multiple, so that whatever has to do with a partition is in one worker.
        executors = {name: workers * max(1, ceil(one / BUSY / workers)) for name, one in components.items()}
        stored = {store: self.disk(store, density) * demand.rate for store in SERVED}
        stored["kafka"] += of_groups.logged
        disk = {store: stored[store] * kept_seconds * copies for store, copies in SERVED.items()}
        nodes = {
            store: max(
                copies,
                self._nodes(store, cores[f"{store} server"]),
                ceil(disk[store] / BUSY / MACHINE_DISK),
            )
            for store, copies in SERVED.items()
        }
        # Twice as many as executors: a partition belongs to one of each component, and they are not equally full.
        partitions = max(nodes["kafka"], 2 * max(executors.values()))
        state = demand.series * self.bytes_per_series
        return Plan(executors, partitions, workers, nodes, disk, state, of_groups.memory, buckets(demand))

    def _nodes(self, store: str, cores: float) -> int:
        """Of a store whose one node without copies would take so many cores."""
        of = self.spread[store]
        return machines(cores * of.copies(SERVED[store]), MACHINE_CORES * BUSY, of.apart)


def _require_mergeable(groups: GroupLoad) -> None:
    if groups.largest > BUSY:
        raise UserError(
            f"one group would take {groups.largest:.1f} cores, and can have {BUSY:g} of one, since all of a group "
            "belongs to one executor: plan more groups of fewer members, and groups of these (docs/groups.md)"
        )


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
