"""`oda bench`: throughput and latency of the whole system on the running cluster. Each command, and where it is."""

from __future__ import annotations

import typer

from oda.cli.bench import (
    cost,
    detectors,
    flame,
    groups,
    latency,
    nodes,
    outage,
    peers,
    services,
    soak,
    throughput,
    workers,
)

app = typer.Typer(help="Measure the system on the running cluster; start it with `oda up`.", no_args_is_help=True)

app.command("nab")(detectors.measure_nab)
app.command("noise")(detectors.measure_noise)
app.command("detectors")(detectors.measure_detectors)
app.command("groups")(groups.measure_groups)
app.command("group-latency")(groups.measure_group_latency)
app.command("group-throughput")(groups.measure_group_throughput)
app.command("latency")(latency.measure_latency)
app.command("serve")(services.measure_serve)
app.command("notify")(services.measure_notify)
app.command("rules")(latency.measure_rules)
app.command("throughput")(throughput.measure_throughput)
app.command("workers")(workers.measure_workers)
app.command("nodes")(nodes.measure_nodes)
app.command("peers")(peers.measure_peers)
app.command("flame")(flame.draw_flame_graphs)
app.command("cost")(cost.measure_cost)
app.command("outage")(outage.measure_outage)
app.command("soak")(soak.measure_soak)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bench")
