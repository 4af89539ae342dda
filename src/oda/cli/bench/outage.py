"""`oda bench outage`: what a store that is down for minutes costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from oda.bench import outage
from oda.bench.own import own_stream
from oda.chaos.system import System
from oda.cli.bench.memory import memory_table
from oda.cli.bench.shown import console, system_of, tell
from oda.cli.context import Context
from oda.cli.verify import is_sound

_DRAIN_SECONDS = 180.0


class Store(StrEnum):
    """The stores that can be down while readings still come."""

    CASSANDRA = "cassandra"
    ELASTICSEARCH = "elasticsearch"


def measure_outage(
    ctx: typer.Context,
    store: Annotated[Store, typer.Option(help="The server that is killed.")] = Store.CASSANDRA,
    minutes: Annotated[float, typer.Option(min=1, help="For how long it is down.")] = 3.0,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second, all the time.")] = 10_000,
) -> None:
    """Kill a store of the local cluster under load: memory, failed tuples, the backlog worked off, and the audit.

    Anything else that runs on the cluster has its store taken away, too. Exit code 1 if the audit finds a fault.

    Example: oda bench outage --store elasticsearch --minutes 3
    """
    with _audited(ctx.obj) as system:
        with console.status("") as status:
            found = outage.measure(system, store, minutes * 60, rate, lambda what: tell(status, what))
        console.print(memory_table(found.samples, found.down[0], found.during()))
        _print_outage(found)


@contextmanager
def _audited(context: Context) -> Iterator[System]:
    """A topology on a stream of its own. At the end the audit; exit code 1 if it finds a fault."""
    with own_stream(context) as (storm, settings), storm.running(settings.kafka.group):
        yield system_of(context, storm, settings)
        sound = is_sound(settings, _DRAIN_SECONDS, console)
    if not sound:
        raise typer.Exit(1)


def _print_outage(found: outage.Outage) -> None:
    begin, end = found.down
    down = [sample for sample in found.samples if begin <= sample.at < end]
    workers = frozenset[int]().union(*(sample.workers for sample in found.samples))
    ratio = found.after.per_second / found.reference.per_second
    console.print(
        f"Down for {end - begin:.0f} s: {down[-1].committed - down[0].committed} readings were committed meanwhile, "
        f"{found.failed} tuples failed by time-out, {found.retries} retries were logged; "
        f"the worker was started {len(workers)} times."
    )
    console.print(
        f"Backlog {max(sample.behind for sample in found.samples):,} readings at its largest. "
        f"First commit {found.after.first.at - found.after.began.at:.0f} s after the store served, "
        f"then {found.after.per_second:,.0f}/s; without an outage {found.reference.per_second:,.0f}/s: "
        f"ratio {ratio:.2f}."
    )
