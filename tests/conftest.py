"""A real cluster for the tests: its own ports and data, beside whatever else runs on the machine."""

import json
import os
import socket
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from oda.cluster.network import SLACK_NS
from oda.paths import ROOT
from support import Cluster

# On a busy machine everything takes long: it says nothing about a property, nor about how its examples are made.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

Path("/proc/self/timerslack_ns").write_text(str(SLACK_NS))  # which the servers inherit, that share the cores with us

_SMALL_DISKS = {"kafka-1": 700, "cassandra": 1200, "elasticsearch": 500}
"""Servers whose disk is a small one in memory, and its size, MiB."""

_TWO_SUPERVISORS = {"supervisor_ports": [6628, 6629], "worker_ports": [[6700, 6701, 6702], [6703, 6704, 6705]]}
"""As on two machines."""

_OPTIONS = {"topology.workers": 2, "topology.bolt.wait.progressive.level3.sleep.millis": 4}
"""A worker with nothing to do takes a third as much of a core so as with Storm's 1 ms; as in environment `machines`."""

NAB = ROOT.parent / "shared" / "nab"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With several processes (-n)."""
    return _ByServers(config, log)


_CLUSTERS = {"faults": "integration"} | {name: name for name in ("integration", "secured", "services")}
"""Folders whose tests need servers, and whose servers they are."""


class _ByServers(LoadScopeScheduling):
    """What uses the same servers stays in one process, one test after the other; else what is in one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _CLUSTERS.get(file.split("/")[1], file)


def _shifted(config: dict, by: int) -> list[int]:
    """Move every port of a config.json; returns the ports."""
    local, servers = config["envs"]["local"], config["servers"]
    ports = []

    def moved(value):
        if isinstance(value, list):
            return [moved(port) for port in value]
        if isinstance(value, str):
            return ",".join(
                f"{head}:{moved(int(port))}" for head, _, port in (a.rpartition(":") for a in value.split(","))
            )
        ports.append(value + by)
        return value + by

    for name in ("nimbus", "ui.port"):
        local[name] = moved(local[name])
    for name in ("oda.kafka.brokers", "oda.cassandra.hosts", "oda.elasticsearch.urls"):
        local["options"][name] = moved(local["options"][name])
    for name in [name for name in servers if name.endswith(("_port", "_ports"))]:
        servers[name] = moved(servers[name])
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def _small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """A tmpfs, so that a full disk can be tried; root may mount one."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        warnings.warn(f"{folder.name}: no tmpfs can be mounted here, so its full disk is not tried", stacklevel=2)
        yield
        return
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Servers for this run of the tests. ODA_TEST_CONFIG names the config.json of a running cluster to use instead."""
    if running := os.environ.get("ODA_TEST_CONFIG"):
        yield Cluster(Path(running).resolve())
        return
    folder = tmp_path_factory.mktemp("cluster")
    for by in range(10_000, 20_000, 100):
        config = json.loads((ROOT / "config.json").read_text())
        config["servers"] |= _TWO_SUPERVISORS
        config["envs"]["local"]["options"] |= _OPTIONS
        if all(map(_is_free, _shifted(config, by))):
            break
    config["servers"]["data"] = str(folder / "data")
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    servers = Cluster(path)
    with ExitStack() as disks:
        for name, size_mb in _SMALL_DISKS.items():
            disks.enter_context(_small_disk(folder / "data" / name, size_mb))
        try:
            servers.oda("up")
            yield servers
        finally:
            servers.oda("down")


@pytest.fixture(scope="session")
def nab() -> Path:
    """Recorded series of the Numenta Anomaly Benchmark, used in place."""
    assert NAB.is_dir(), f"the tests need the NAB data in {NAB}"
    return NAB


@pytest.fixture(scope="module")
def stream(cluster, tmp_path_factory):
    """The cluster with a running topology that has topics, tables and indices of its own."""
    isolated = cluster.isolated(tmp_path_factory.mktemp("stream"))
    with isolated.topology():
        yield isolated
