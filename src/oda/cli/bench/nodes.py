"""`oda bench nodes`: what a second and a third broker and node bring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.status import Status
from rich.table import Table

from oda.bench import nodes
from oda.chaos.signals import end_at_sigterm
from oda.cli.bench.shown import console, tell
from oda.cli.plan import NODES
from oda.cli.servers import fetch
from oda.cluster.network import check_root
from oda.plan.measured import NodeRun
from oda.stores.catalogue import STORES, Description

_Store = StrEnum("_Store", ["cassandra", "elasticsearch", "kafka"])


def measure_nodes(
    ctx: typer.Context,
    quota: Annotated[float, typer.Option(min=0.05, help="Cores of a broker, or node.")] = 0.2,
    seconds: Annotated[float, typer.Option(min=1, help="For how long each is measured.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 1,
    only: Annotated[_Store | None, typer.Option(help="Only this one; the others keep their figures.")] = None,
) -> None:
    """What one, two and three brokers, and nodes of Cassandra and of Elasticsearch, do with so many cores each.

    As root: each store is alone on machines as of `oda machines up`, encrypted, and has as much to write as it can
    take: with one copy on one, two and three of them, and with three the copies that environment `cluster` keeps.
    Takes 40 minutes a round, and 3 GB of memory. Writes benchmarks/nodes.json.

    Examples:

        oda bench nodes --quota 0.2

        oda bench nodes --only kafka --rounds 3
    """
    check_root()
    end_at_sigterm()
    software = fetch(console)  # while this process still reaches the registry
    with (
        tempfile.TemporaryDirectory(prefix="oda-bench-") as folder,
        nodes.machines(ctx.obj.config, software, Path(folder)) as servers,
        console.status("") as status,
    ):
        for store in STORES:
            if only in (None, store.name):
                runs = list(_measured(servers, store, rounds, (quota, seconds), status))
                console.print(_table(runs, quota))
                _keep(runs)


def _measured(
    servers: nodes.Servers, store: Description, rounds: int, limits: tuple[float, float], status: Status
) -> Iterator[NodeRun]:
    for case in nodes.cases(store) * rounds:
        what = f"{store.title}, {case.nodes} nodes, {case.copies} copies"
        status.update(what)
        run = nodes.measure(servers, store, case, *limits)
        tell(status, f"{what}: {run.per_second:,.0f} rows/s")
        yield run


def _keep(runs: list[NodeRun]) -> None:
    """In the file, instead of those of the same store."""
    before = msgspec.json.decode(NODES.read_bytes(), type=list[NodeRun]) if NODES.exists() else []
    found = [run for run in before if run.store != runs[0].store] + runs
    NODES.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def _table(runs: list[NodeRun], quota: float) -> Table:
    columns = ("store", "nodes", "copies", "rows/s", "of one's", "cores used", "CPU, us a row")
    table = Table(*columns, title=f"Nodes of {quota:g} cores")
    one = runs[0]
    for run in runs:
        one = run if run.nodes == 1 else one
        figures = (f"{run.per_second:,.0f}", f"{run.per_second / one.per_second:.2f}", f"{run.used:.0%}")
        table.add_row(run.store, str(run.nodes), str(run.copies), *figures, f"{1e6 * run.cpu / run.rows:.1f}")
    return table
