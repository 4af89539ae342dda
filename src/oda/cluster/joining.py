"""A machine joins those that work, and is given its share; the last that joined hands it back, and goes.

How each kind of server does so is in docs/operations.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import tenacity

from oda.cluster.accounts import environments
from oda.cluster.broker import Broker
from oda.cluster.cassandra import CassandraNode
from oda.cluster.elasticsearch import ElasticsearchNode
from oda.cluster.layout import Layout, Machine
from oda.cluster.local import LocalCluster
from oda.cluster.machines import administrators, as_administrator, join, joined, leave
from oda.cluster.network import Network
from oda.cluster.nodetool import nodetool
from oda.cluster.server import Server
from oda.cluster.storm_daemons import Supervisor
from oda.errors import UserError
from oda.kafka import shares
from oda.stores.elasticsearch import connect
from oda.storm.topologies import Storm

_EXCLUDED = "cluster.routing.allocation.exclude._name"
"""Elasticsearch's nodes that are to have no shard."""

_SECONDS = 1800.0
"""How long a server may take to be without work."""

OnReady = Callable[[Server, float], None]
"""As of `LocalCluster.up`."""


def add(cluster: LocalCluster, name: str, on_ready: OnReady) -> None:
    """Start machine `name` beside those of a cluster that serves, and give it its share; goes on if it was begun.

    Kafka's replicas are moved to it, Cassandra's other nodes drop the rows that it has now, and every topology is dealt
    out anew, with a worker a supervisor. Elasticsearch moves shards by itself.

    Raises:
        UserError: the name is that of a machine which did not join, or can't be one; or a server refuses.
        ServerFailedError: a server did not come up.
    """
    before = as_administrator(cluster.layout)
    is_new = name not in {machine.name for machine in joined(before)}
    layout = join(before, name) if is_new else before
    machine, everything = _machine(layout, name), _cluster(layout, cluster)
    mine = [server for server in everything.servers if server.machine == machine]
    if is_new:
        for server in mine:
            (server.folder / "data").mkdir(parents=True, exist_ok=True)  # empty: its disk is new, and not lost
    network = Network(layout)
    network.up()
    everything.up(on_ready)
    for server in mine:
        if isinstance(server, Broker):
            shares.give(layout.kafka, server.number)
    for server in everything.servers:
        if isinstance(server, CassandraNode) and server not in mine:
            nodetool(network, server, "cleanup")
    _deal_out(layout, len(layout.places["supervisor"]))


def remove(cluster: LocalCluster, name: str, on_ready: OnReady) -> None:
    """Let machine `name`, the last that joined, hand back its share; then end it, and delete its folders.

    What does not run is started before: only who serves can hand back. Its certificate stays.

    Raises:
        UserError: it is not the last that joined, or a server refuses.
        ServerFailedError: a server did not come up.
    """
    layout = as_administrator(cluster.layout)
    if [machine.name for machine in joined(layout)][-1:] != [name]:
        names = ", ".join(machine.name for machine in joined(layout)) or "none"
        raise UserError(f"machine {name} can't be removed: only the last that joined can; these did: {names}")
    machine, network, everything = _machine(layout, name), Network(layout), _cluster(layout, cluster)
    everything.up(on_ready)
    mine = [server for server in everything.servers if server.machine == machine]
    everything.down([server.name for server in mine if isinstance(server, Supervisor)])
    for server in mine:
        if isinstance(server, Supervisor):
            _wait(partial(_is_known, server), f"nimbus still takes {server.name} for alive")
    _deal_out(layout, len(layout.places["supervisor"]) - 1)
    for server in mine:
        if isinstance(server, Broker):
            shares.take(layout.kafka, server.number)
        if isinstance(server, ElasticsearchNode):
            _empty(layout, f"oda-{server.number}")
    for server in mine:
        if isinstance(server, CassandraNode):  # the last, as it does not start again then
            nodetool(network, server, "decommission")
    everything.down([server.name for server in mine])
    network.kill(machine)
    network.remove(machine)
    smaller = leave(layout)
    Network(smaller).up()  # whose hosts no longer know it
    for server in mine:
        shutil.rmtree(server.folder)
    _exclude(smaller, None)


def _machine(layout: Layout, name: str) -> Machine:
    return next(machine for machine in layout.machines if machine.name == name)


def _cluster(layout: Layout, cluster: LocalCluster) -> LocalCluster:
    return LocalCluster(layout, cluster.servers[0].software)


def _deal_out(layout: Layout, workers: int) -> None:
    Storm(environments(layout), administrators(layout)).spread(workers)


def _is_known(supervisor: Server) -> bool:
    """Whether nimbus has heard of it lately."""
    try:
        supervisor.probe()
    except ConnectionError:
        return False
    return True


def _empty(layout: Layout, node: str) -> None:
    """Wait until a node of Elasticsearch has no shard."""

    def shards() -> bool:
        with connect(layout.settings.elasticsearch) as client:
            rows: Any = client.cat.shards(format="json", h="node")
        return any(node in str(row["node"]).split() for row in rows)  # one that moves is on "A -> ADDRESS ID B"

    _exclude(layout, node)
    _wait(shards, f"Elasticsearch still has shards on {node}")


def _exclude(layout: Layout, node: str | None) -> None:
    with connect(layout.settings.elasticsearch) as client:
        client.cluster.put_settings(persistent={_EXCLUDED: node})


def _wait(while_true: Callable[[], bool], message: str) -> None:
    again, stop = tenacity.retry_if_result(bool), tenacity.stop_after_delay(_SECONDS)
    try:
        tenacity.Retrying(retry=again, stop=stop, wait=tenacity.wait_fixed(1))(while_true)
    except tenacity.RetryError:
        raise UserError(f"{message} after {_SECONDS:.0f} s") from None
