"""What a reading costs: CPU seconds and memory of each process, and bytes in each store."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from oda.bench import throughput
from oda.bench.workload import Workload
from oda.chaos.system import System
from oda.cluster import processes
from oda.plan import COMPONENTS, Measured
from oda.stores import elasticsearch

_SERVERS = {"kafka server": "kafka-1", "cassandra server": "cassandra", "elasticsearch server": "elasticsearch"}


def measure(system: System, workload: Workload) -> tuple[Measured, float]:
    """Cost of the topic's readings, and how many seconds they took.

    Args:
        system: its topic is full, its topology is not running.
        workload: what the topic holds.
    """
    cpu: dict[str, float] = {}
    with system.storm.running(system.topology):
        rate = throughput.topology_rate(system.settings, system.cluster.layout.logs, lambda: cpu.update(_cpu(system)))
        cpu = {name: after - cpu[name] for name, after in _cpu(system).items()}
        memory = {name: sum(_memory(one) for one in found) for name, found in _processes(system).items()}
    windows = rate.readings * workload.step_ms / system.settings.window.size_ms
    return Measured(workload.series, rate.readings, windows, cpu, memory, _disk(system)), rate.seconds


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


def _memory(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_info().rss / 2**20)
    return 0.0


def _disk(system: System) -> dict[str, int]:
    """Cassandra writes what it has in memory when it ends; here, while nothing else needs it."""
    settings, data = system.settings, system.cluster.layout.data
    client = elasticsearch.connect(settings.elasticsearch)
    stats = client.indices.stats(index=f"{settings.elasticsearch.prefix}-*", metric="store")
    client.close()
    system.cluster.down(["cassandra"])
    system.mend()
    return {
        "kafka": _size(data.glob(f"kafka-1/data/{settings.kafka.readings}-*/*")),
        "cassandra": _size(data.glob(f"cassandra/data/{settings.cassandra.keyspace}/*/*")),
        "elasticsearch": stats["_all"]["total"]["store"]["size_in_bytes"],
    }


def _size(files: Iterable[Path]) -> int:
    """Log segments are allocated ahead, their indices more so: what is written counts."""
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())
