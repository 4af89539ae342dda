"""What a reading costs: CPU seconds and memory of each process, and bytes in each store."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from oda.bench import throughput
from oda.bench.watch import rss
from oda.bench.workload import Workload, fill
from oda.chaos.system import System
from oda.cluster import processes
from oda.plan import COMPONENTS, Measured
from oda.stores import elasticsearch

_APART_MS = 600_000
"""More than filling the topic takes: the second half must not be older than the first."""

_MERGE_SECONDS = 300

_SERVERS = {"kafka server": "kafka-1", "cassandra server": "cassandra", "elasticsearch server": "elasticsearch"}


def measure(system: System, workload: Workload) -> tuple[Measured, float]:
    """Cost of a workload's readings, and how many seconds they took.

    The same again goes before, uncounted: young processes import modules and compile, which is most of the CPU time of
    a short run and nothing in one of days.

    Args:
        system: its topic is empty, its topology is not running.
        workload: what to measure.
    """
    settings, storm = system.settings, system.storm
    fill(settings, workload, ago_ms=workload.duration_ms + _APART_MS)
    with storm.running(system.topology):
        throughput.wait_for_commits(settings)
        storm.deactivate(system.topology)
        fill(settings, workload)
        before, began = _cpu(system), time.monotonic()
        storm.activate(system.topology)
        throughput.wait_for_commits(settings)
        cpu = {name: after - before[name] for name, after in _cpu(system).items()}
        seconds = time.monotonic() - began
        memory = {name: sum(map(rss, found)) for name, found in _processes(system).items()}
    windows = workload.readings * workload.step_ms / settings.window.size_ms
    disk = {store: size // 2 for store, size in _disk(system).items()}
    return Measured(workload.series, workload.readings, windows, cpu, memory, disk), seconds


def _processes(system: System) -> dict[str, list[psutil.Process]]:
    found = {name: system.component(name) for name in COMPONENTS}
    servers = processes.find(system.cluster.layout.data)
    return found | {"worker": system.worker()} | {name: servers.get(server, []) for name, server in _SERVERS.items()}


def _cpu(system: System) -> dict[str, float]:
    return {name: sum(_seconds(one) for one in found) for name, found in _processes(system).items()}


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _disk(system: System) -> dict[str, int]:
    """What stays of the readings: merged as stores do in the end, and without snapshots, which replace each other.

    Cassandra writes what it has in memory when it ends; here, while nothing else needs it.
    """
    settings, data = system.settings, system.cluster.layout.data
    client = elasticsearch.connect(settings.elasticsearch)
    indices = f"{settings.elasticsearch.prefix}-*"
    client.options(request_timeout=_MERGE_SECONDS).indices.forcemerge(index=indices, max_num_segments=1)
    system.cluster.down(["cassandra"])
    system.mend()
    stats = client.indices.stats(index=indices, metric="store")  # it is told 10 s late
    client.close()
    tables = data / "cassandra/data" / settings.cassandra.keyspace
    return {
        "kafka": _size(data.glob(f"kafka-1/data/{settings.kafka.readings}-*/*")),
        "cassandra": sum(_size(tables.glob(f"{table}-*/*")) for table in ("readings", "windows", "anomalies")),
        "elasticsearch": stats["_all"]["total"]["store"]["size_in_bytes"],
    }


def _size(files: Iterable[Path]) -> int:
    """Log segments are allocated ahead, their indices more so: what is written counts."""
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())
