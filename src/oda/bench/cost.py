"""What a reading costs: CPU seconds and memory of each process, and bytes in each store."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from oda.bench import throughput
from oda.bench.recorder import rss
from oda.bench.workload import Workload
from oda.chaos.system import System
from oda.cluster import processes
from oda.core.kinds import OF_SERIES
from oda.plan.measured import CostRun
from oda.plan.model import COMPONENTS
from oda.stores import elasticsearch
from oda.stores.catalogue import STORES
from oda.stores.session import open_session

_MERGE_SECONDS = 300

_SETTLE_SECONDS = 15
"""Elasticsearch tells its sizes 10 s late; Cassandra writes a table within seconds."""

_TABLES = ("readings", *(kind.name for kind in OF_SERIES))

_SERVERS = {f"{store.name} server": store.server for store in STORES if store.server}


def measure(system: System, workload: Workload) -> CostRun:
    """Cost of a workload's readings.

    The same again goes before, uncounted.

    Args:
        system: its topic is empty, its topology is not running.
        workload: what to measure.
    """
    settings, storm = system.settings, system.storm
    with throughput.warmed_up(storm, settings, workload):
        before, began = _cpu(system), time.monotonic()
        storm.activate(system.topology)
        throughput.wait_for_commits(settings)
        cpu = {name: after - before[name] for name, after in _cpu(system).items()}
        seconds = time.monotonic() - began
        memory = {name: sum(map(rss, found)) for name, found in _processes(system).items()}
    windows = workload.readings * workload.step_ms / settings.window.size_ms
    disk = {store: size // 2 for store, size in _disk(system).items()}
    return CostRun(workload.series, workload.readings, windows, seconds, cpu, memory, disk)


def _processes(system: System) -> dict[str, list[psutil.Process]]:
    found = {name: system.component(name) for name in COMPONENTS}
    servers = processes.find(system.cluster.layout.data)
    return found | {"worker": system.workers()} | {name: servers.get(server, []) for name, server in _SERVERS.items()}


def _cpu(system: System) -> dict[str, float]:
    return {name: sum(_seconds(one) for one in found) for name, found in _processes(system).items()}


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _disk(system: System) -> dict[str, int]:
    """What stays of the readings: merged, as Elasticsearch does in the end; no snapshots, which replace each other.

    Cassandra is told to write what it has in memory. Ending it would do so, too, but the next measurement would find
    a young process.
    """
    settings, data = system.settings, system.cluster.layout.data
    client = elasticsearch.connect(settings.elasticsearch)
    indices = f"{settings.elasticsearch.prefix}-*"
    client.options(request_timeout=_MERGE_SECONDS).indices.forcemerge(index=indices, max_num_segments=1)
    session = open_session(settings.cassandra)
    for table in _TABLES:
        session.execute(f"ALTER TABLE {settings.cassandra.keyspace}.{table} WITH memtable_flush_period_in_ms = 1000")
    session.cluster.shutdown()
    time.sleep(_SETTLE_SECONDS)
    stats = client.indices.stats(index=indices, metric="store")
    client.close()
    tables = data / "cassandra/data" / settings.cassandra.keyspace
    return {
        "kafka": _size(data.glob(f"kafka-1/data/{settings.kafka.readings}-*/*")),
        "cassandra": sum(_size(tables.glob(f"{table}-*/*")) for table in _TABLES),
        "elasticsearch": stats["_all"]["total"]["store"]["size_in_bytes"],
    }


def _size(files: Iterable[Path]) -> int:
    """Log segments are allocated ahead, their indices more so: what is written counts."""
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())
