"""What a worker boundary costs, and what one more worker brings: the same work with more and more of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from oda.bench import throughput
from oda.bench.own import own_stream
from oda.bench.quota import cpu_seconds, each_limited
from oda.bench.workload import Workload
from oda.chaos.system import System
from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.errors import UserError
from oda.plan.measured import ScaleRun
from oda.settings import Parallelism

EXECUTORS = (1, 2)
"""Of each component. With as many as workers, all that has to do with a partition is in one worker."""

WORKERS = (1, 2, 3)

_PARTITIONS = 6
"""So that each worker has as many."""

_FROM, _TO = 0.55, 0.95
"""Half of the topic goes before, unmeasured; in the end partitions that hold more than others are alone."""


def measure(
    context: Context, topic: str, rounds: int, tell: Callable[[str], None]
) -> dict[int, tuple[list[float], list[float]]]:
    """By number of executors, readings a second with one worker and with two, one figure a round."""
    found: dict[int, tuple[list[float], list[float]]] = {executors: ([], []) for executors in EXECUTORS}
    for number in range(1, rounds + 1):
        for executors, rates in found.items():
            for workers in (1, 2):
                rate = _rate(context, topic, executors, workers)
                rates[workers - 1].append(rate)
                tell(f"round {number} of {rounds}, {executors} executors, {workers} workers: {rate:,.0f} readings/s")
    return found


def scale(context: Context, cluster: LocalCluster, workload: Workload, quota: float) -> Iterator[ScaleRun]:
    """What workers of `quota` cores bring, with the JVM and all components of each in its part; compute only.

    Kafka and the Cassandra of snapshots are outside. `workload` is that of one worker; more have so much more to do.
    """
    for workers in WORKERS:
        work = workload._replace(readings=workload.readings * workers)
        executors = _executors(workers) | {"parallelism__groups": 0}
        with own_stream(context, kafka__partitions=_PARTITIONS, **executors) as (storm, settings):
            system, options = System(cluster, storm, settings, settings.kafka.group), _options(workers)
            with (
                throughput.warmed_up(storm, settings, work, *options, topology="../benchmarks/compute"),
                _limited(system, quota),
            ):
                storm.activate(system.topology)
                first = throughput.wait_for_commits(settings, _FROM)
                began, before = time.monotonic(), cpu_seconds(_families(system))
                readings = throughput.wait_for_commits(settings, _TO) - first
                seconds, cpu = time.monotonic() - began, cpu_seconds(_families(system)) - before
        yield ScaleRun(workload.series, workers, quota, readings, seconds, cpu)


def _rate(context: Context, topic: str, executors: int, workers: int) -> float:
    with (
        own_stream(context, kafka__readings=topic, **_executors(executors)) as (storm, settings),
        storm.running(settings.kafka.group, *_options(workers)),
    ):
        return throughput.topology_rate(settings, load_layout(context.config, context.env).logs).per_second


def _executors(number: int) -> dict[str, int]:
    return {f"parallelism__{name}": number for name in Parallelism.model_fields}


def _options(workers: int) -> tuple[str, ...]:
    return (f"topology.workers={workers}", f"topology.acker.executors={workers}")


def _families(system: System) -> list[list[psutil.Process]]:
    return [[worker, *worker.children(recursive=True)] for worker in system.workers()]


@contextmanager
def _limited(system: System, quota: float) -> Iterator[None]:
    if not (families := _families(system)):
        raise UserError("--quota needs the workers on this machine: the servers that run here were started elsewhere")
    with each_limited(quota, families):
        yield
