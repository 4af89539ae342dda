"""What a second and a third broker or node bring: one store alone on machines, each with a part of a core."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from oda.bench.filling import PARTS, Filling, Readings, Windows
from oda.bench.quota import cpu_seconds, each_limited
from oda.cluster import processes
from oda.cluster.broker import Broker
from oda.cluster.cassandra import CassandraNode
from oda.cluster.elasticsearch import ElasticsearchNode
from oda.cluster.local import LocalCluster
from oda.cluster.machines import ENVIRONMENT, prepare
from oda.cluster.network import Network
from oda.cluster.server import Server
from oda.cluster.software import Software
from oda.plan.measured import NodeRun
from oda.stores.catalogue import STORES, Description

_KINDS: dict[str, type[Server]] = {kind.kind: kind for kind in (Broker, CassandraNode, ElasticsearchNode)}

_ADDRESSES = {"kafka": "brokers", "cassandra": "hosts", "elasticsearch": "urls"}
"""The setting that lists a store's nodes."""

_NAMESPACES = "odabench"

_WARM_SECONDS = 20
"""For each node, with all cores: young processes compile, and have to share them."""

_SETTLE_SECONDS = 10
"""With a part of them."""

_IDLE = 0.15
"""Cores of a node that has nothing to do, at most."""

_MOST_IDLING_SECONDS = 120


class Case(NamedTuple):
    """So many nodes, and copies of each row on them."""

    nodes: int
    copies: int


def cases(store: Description) -> tuple[Case, ...]:
    """One copy on one, two and three nodes; and on three as many as environment `cluster` has."""
    return Case(1, 1), Case(2, 1), Case(3, 1), Case(3, store.copies)


@contextmanager
def machines(config: Path, software: Software, folder: Path) -> Iterator[Servers]:
    """Machines for nothing else, as long as this is entered; this process stays in the network of one. As root."""
    servers = Servers(config, software, folder)
    try:
        yield servers
    finally:
        servers.network.down()


def measure(servers: Servers, store: Description, case: Case, quota: float, seconds: float) -> NodeRun:
    """What nodes of `quota` cores each do in so many seconds, if they have all that they can take.

    Raises:
        UserError: this machine can't limit processes, or the load was refused.
    """
    with servers.running(store, case) as cluster, servers.filling(cluster, store) as load:
        families = _families(cluster)
        _warm_up(load, _WARM_SECONDS * case.nodes)
        with load.paused():
            _wait_until_idle(families)
        with each_limited(quota, families):
            time.sleep(_SETTLE_SECONDS)
            before, cpu, began = load.written(), cpu_seconds(families), time.monotonic()
            time.sleep(seconds)
            rows, took = load.written() - before, time.monotonic() - began
            return NodeRun(store.name, case.nodes, case.copies, quota, rows, took, cpu_seconds(families) - cpu)


class Servers:
    """The nodes of one store at a time, with data of their own that is gone when they are.

    Attributes:
        network: the machines.
    """

    def __init__(self, config: Path, software: Software, folder: Path) -> None:
        self._config, self._software, self._folder = config, software, folder
        self.network = Network(prepare(config_of(config, STORES[0], cases(STORES[0])[-1], folder)))

    @contextmanager
    def running(self, store: Description, case: Case) -> Iterator[LocalCluster]:
        layout = replace(prepare(config_of(self._config, store, case, self._folder)), compiles=True)
        network = Network(layout)
        network.up()
        network.enter(network.people)
        cluster = LocalCluster(layout, self._software, [_KINDS[store.name]])
        try:
            cluster.up(lambda *_: None)
            yield cluster
        finally:
            cluster.down()
            shutil.rmtree(layout.data)

    def filling(self, cluster: LocalCluster, store: Description) -> Filling:
        settings = cluster.layout.settings
        if store.name == "kafka":
            return Readings(settings.kafka, self._software, cluster.layout.data)
        return Windows(settings, store)


def config_of(config: Path, store: Description, case: Case, folder: Path) -> Path:
    """Write a config.json with so many nodes of one store in environment `machines`, in networks of its own."""
    document = json.loads(config.read_text())
    section = document["envs"][ENVIRONMENT]
    options, servers = section["options"], section["servers"]
    servers |= {"data": str(folder / "data"), "namespaces": _NAMESPACES}
    nodes = f"oda.{store.name}.{_ADDRESSES[store.name]}"
    options[nodes] = ",".join(options[nodes].split(",")[: case.nodes])
    options |= _copies(store.name, case.copies)
    for ports in ("kafka_controller_ports", "kafka_internal_ports") if store.name == "kafka" else ():
        servers[ports] = servers[ports][: case.nodes]
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return path


def _copies(store: str, copies: int) -> dict[str, int]:
    if store == "elasticsearch":
        return {"oda.elasticsearch.shards": PARTS, "oda.elasticsearch.replicas": copies - 1}
    return {f"oda.{store}.replication": copies}


def _warm_up(load: Filling, seconds: float) -> None:
    """Until it has written some, and worked for a while."""
    began = time.monotonic()
    while not load.written() or time.monotonic() - began < seconds:
        time.sleep(0.5)


def _wait_until_idle(families: list[list[psutil.Process]]) -> None:
    """Until compaction, merging and the like of the warm-up are done: with all cores it has left more than is usual."""
    end = time.monotonic() + _MOST_IDLING_SECONDS
    while time.monotonic() < end:
        before, began = cpu_seconds(families), time.monotonic()
        time.sleep(2)
        if (cpu_seconds(families) - before) / (time.monotonic() - began) < _IDLE * len(families):
            return


def _families(cluster: LocalCluster) -> list[list[psutil.Process]]:
    """The processes of each node."""
    found = processes.find(cluster.layout.data)
    return [found[server.name] for server in cluster.servers]
