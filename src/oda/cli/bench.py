"""`oda bench`: throughput and latency of the whole system on the running cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from statistics import median
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.status import Status
from rich.table import Table

from oda.bench import compare, cost, flame, latency, notifying, outage, report, serving, soak, throughput, workers
from oda.bench.engines import BENCHMARKS, ENGINES
from oda.bench.own import own_context, own_stream
from oda.bench.recorder import Sample
from oda.bench.rule_changes import RuleChanges
from oda.bench.workload import Workload, fill
from oda.chaos.system import System
from oda.cli import bench_detectors, bench_groups
from oda.cli.context import Context
from oda.cli.plan import COST, SCALING, load_model
from oda.cli.servers import local_cluster
from oda.cli.verify import is_sound
from oda.cluster.layout import load_layout
from oda.paths import ROOT
from oda.plan.measured import CostRun, ScaleRun
from oda.plan.model import SERVED, Model
from oda.settings import Settings
from oda.storm.topologies import Storm

app = typer.Typer(help="Measure the system on the running cluster; start it with `oda up`.", no_args_is_help=True)
app.command("nab")(bench_detectors.measure_nab)
app.command("noise")(bench_detectors.measure_noise)
app.command("detectors")(bench_detectors.measure_detectors)
app.command("groups")(bench_groups.measure_groups)
app.command("group-latency")(bench_groups.measure_group_latency)
app.command("group-throughput")(bench_groups.measure_group_throughput)

console = Console()

FLAMES = ROOT / "docs/flame"

_SERIES = [100, 10_000]
_RATES = [100, 1_000, 10_000]
_MANY_SERIES = [10, 100, 1_000, 10_000, 100_000]
_LEAST_A_SERIES = 10
"""Readings, so that its state is whole."""


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bench")


class Order(StrEnum):
    """Of the readings' times in the log."""

    IN = "in"
    OUT_OF = "out-of"
    BOTH = "both"

    @property
    def shuffled(self) -> list[bool]:
        """For `Workload`."""
        return {"in": [False], "out-of": [True], "both": [False, True]}[self]


_DRAIN_SECONDS = 180.0


@app.command("latency")
def measure_latency(
    ctx: typer.Context,
    rate: Annotated[list[int], typer.Option(min=100, help="Readings a second; may be repeated.")] = _RATES,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to measure Kafka, then the other two; a minute of warm-up is before.")
    ] = 60.0,
) -> None:
    """From producing a reading to its anomaly being readable in each of the three stores.

    Example: oda bench latency --rate 100 --seconds 60
    """
    for number in rate:
        with (
            console.status(f"{number:,} readings a second"),
            own_stream(ctx.obj) as (storm, settings),
        ):
            found = latency.measure(settings, storm, number, seconds)
        console.print(_latency_table(found, number))


def _latency_table(found: latency.Latencies, rate: int) -> Table:
    names = ("readable in", "anomalies", "p50", "p99", "p99.9", "max")
    table = Table(*names, title=f"Latency at {rate:,} readings a second, ms")
    for store, each in found._asdict().items():
        figures = (f"{figure:.1f}" for figure in (*np.percentile(each, [50, 99, 99.9]), each.max()))
        table.add_row(store, f"{len(each):,}", *figures)
    return table


@app.command("serve")
def measure_serve(
    ctx: typer.Context,
    series: Annotated[int, typer.Option(min=100, help="Series that it knows.")] = 100_000,
    viewers: Annotated[int, typer.Option(min=1, max=1_000, help="Pages that are open; each watches 5 series.")] = 200,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second, of 100 series.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 30.0,
) -> None:
    """What `oda serve` costs, and how soon its viewers see what is new; needs no topology.

    Example: oda bench serve --viewers 200 --rate 10000
    """
    with console.status("") as status, own_context(ctx.obj) as own:
        asked = serving.Asked(series, viewers, rate, seconds)
        found = serving.measure(own.config, own.env, asked, lambda what: _tell(status, what))
    table = Table("", "p50", "p99", "max", title=f"{viewers} viewers, {rate:,} readings a second, ms")
    for name, each in (("reading produced to seen", found.readings), ("anomaly written to seen", found.anomalies)):
        table.add_row(name, *(f"{figure:.0f}" for figure in (*np.percentile(each, [50, 99]), each.max())))
    console.print(table)
    console.print(
        f"{found.messages / seconds:,.0f} messages a second to viewers, {found.gaps} gaps; {found.cpu:.2f} cores; "
        f"{found.mib:.0f} MiB, {found.idle_mib:.0f} before they came. Ready {found.ready:.1f} s after its start, "
        f"with {series:,} series; the first answer of /api/series took {1000 * found.first:.0f} ms, others "
        f"{1000 * found.again:.0f} ms.",
        highlight=False,
        soft_wrap=True,
    )


@app.command("notify")
def measure_notify(
    ctx: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 10_000,
    incidents: Annotated[int, typer.Option(min=1, help="Incidents a second that open, in the second part.")] = 20,
    before: Annotated[int, typer.Option(min=0, help="Changes of incidents that the topic has before.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure, each of two parts.")] = 30.0,
) -> None:
    """What `oda notify` costs, and how soon a webhook is told; needs no topology.

    Example: oda bench notify --rate 10000
    """
    with console.status("") as status, own_context(ctx.obj) as own:
        asked = notifying.Asked(rate, incidents, before, seconds)
        found = notifying.measure(own.config, own.env, asked, lambda what: _tell(status, what))
    p50, p99 = np.percentile(found.latency, [50, 99])
    console.print(
        f"{rate:,} readings a second: {100 * found.idle:.1f} % of a core; with {incidents} incidents a second besides "
        f"{100 * found.busy:.1f} %. From writing an incident to the webhook's having it, in ms as p50 / p99 / max: "
        f"{p50:.0f} / {p99:.0f} / {found.latency.max():.0f}. {found.mib:.0f} MiB. "
        f"The first notification {found.ready:.1f} s after its start, with {before:,} changes in the topic.",
        highlight=False,
        soft_wrap=True,
    )


@app.command("rules")
def measure_rules(
    ctx: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure, each time.")] = 30.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one change of rules to the next.")] = 2.0,
) -> None:
    """The latency of anomalies while the rules become others, beside that while they stay.

    Example: oda bench rules --rate 10000 --seconds 30
    """
    for changes in (False, True):
        with (
            console.status("rules that change" if changes else "rules that stay"),
            own_stream(ctx.obj) as (storm, settings),
            RuleChanges(settings, every if changes else None) as rules,
        ):
            found = latency.measure(settings, storm, rate, seconds)
        console.print(f"The rules became others {rules.applied} times.")
        console.print(_latency_table(found, rate))


@app.command("throughput")
def measure_throughput(
    ctx: typer.Context,
    readings: Annotated[int, typer.Option(min=1000, help="How many readings the topic holds.")] = 1_000_000,
    series: Annotated[int, typer.Option(min=1, help="Of how many series.")] = 100,
) -> None:
    """From a full topic to all three stores, beside kafka-python's bare poll() over the same topic.

    Example: oda bench throughput --readings 1000000 --series 100
    """
    with own_stream(ctx.obj) as (storm, settings):
        fill(settings, Workload(series, readings))
        before = throughput.poll_rate(settings)
        with storm.running(settings.kafka.group):
            whole = throughput.topology_rate(settings, load_layout(ctx.obj.config, ctx.obj.env).logs)
        after = throughput.poll_rate(settings)
    bare = throughput.Rate(before.readings + after.readings, before.seconds + after.seconds)
    console.print(
        f"{readings} readings of {series} series: {whole.per_second:,.0f}/s to all stores, "
        f"bare poll() {bare.per_second:,.0f}/s, ratio {whole.per_second / bare.per_second:.2f}"
    )


@app.command("workers")
def measure_workers(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = _SERIES,
    readings: Annotated[int, typer.Option(min=10_000, help="How many readings a topic holds.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
    quota: Annotated[
        float | None, typer.Option(min=0.05, help="Cores of a worker: what one, two and three of them bring.")
    ] = None,
) -> None:
    """What the way from one worker to another costs: a full topic to all stores, with one worker and with two.

    With one executor of each component two workers split a partition's way; with two of each it stays in one.

    With --quota, as root: what one, two and three workers of so many cores do, without the stores, so that this
    machine's cores are not what is short. Each has so many readings to do. Writes benchmarks/scaling.json.

    Examples:

        oda bench workers --series 100 --rounds 3

        oda bench workers --quota 0.25 --series 1000 --readings 200000 --rounds 1
    """
    if quota is not None:
        workloads = [Workload(number, readings) for number in series]
        _measure_scaling(ctx.obj, workloads * rounds, quota)
        return
    table = Table("series", "executors of each", "1 worker", "2 workers", "ratio (least to most)", title="Readings/s")
    for number in series:
        with own_stream(ctx.obj) as (_, filled), console.status(f"{number:,} series") as status:
            fill(filled, Workload(number, readings))
            found = workers.measure(ctx.obj, filled.kafka.readings, rounds, lambda what: _tell(status, what))
        for executors, (one, two) in found.items():
            ratios = sorted(b / a for a, b in zip(one, two, strict=True))
            rates = (f"{median(rates):,.0f}" for rates in (one, two))
            ratio = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            table.add_row(f"{number:,}", str(executors), *rates, ratio)
    console.print(table)


def _measure_scaling(context: Context, workloads: list[Workload], quota: float) -> None:
    cluster, found = local_cluster(context, console), list[ScaleRun]()
    columns = ("series", "workers", "readings/s", "of one worker's", "of its cores used", "CPU, us a reading")
    table = Table(*columns, title=f"Workers of {quota:g} cores")
    with console.status("") as status:
        for workload in workloads:
            runs = list[ScaleRun]()
            for run in workers.scale(context, cluster, workload, quota):
                runs.append(run)
                _tell(status, f"{workload.series:,} series, {run.workers} workers: {run.per_second:,.0f} readings/s")
                ratio, cpu = run.per_second / runs[0].per_second, 1e6 * run.cpu / run.readings
                figures = (f"{run.per_second:,.0f}", f"{ratio:.2f}", f"{run.used:.0%}", f"{cpu:.1f}")
                table.add_row(f"{run.series:,}", str(run.workers), *figures)
            found += runs
    console.print(table)
    SCALING.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


@app.command("peers")
def measure_peers(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = _SERIES,
    readings: Annotated[int, typer.Option(min=10_000, help="How many readings a topic holds.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each engine has its turn.")] = 5,
    only: Annotated[str | None, typer.Option(help="Only engines whose name contains this; write no file.")] = None,
    order: Annotated[Order, typer.Option(help="How the readings' times lie in the log.")] = Order.BOTH,
    groups: Annotated[
        int, typer.Option(min=0, help="Deal the series to so many groups, and merge their windows; by some engines.")
    ] = 0,
) -> None:
    """The same work by ODA and by other stream processors, in turn; benchmarks/README.md tells what it is.

    Writes benchmarks/results.*, where other workloads keep their figures. The first time it builds the others'
    environments, with Maven and from PyPI.

    Examples:

        oda bench peers --series 100 --rounds 5

        oda bench peers --groups 100 --series 10000 --order in
    """
    for number in series if groups else ():
        bench_groups.require_equal(number, groups)
    engines = [engine for engine in ENGINES if (only is None or only in engine.name) and (engine.groups or not groups)]
    workloads = [Workload(number, readings, late, groups) for late in order.shuffled for number in series]
    done: dict[Workload, compare.EngineRates] = {}
    with console.status("") as status:
        for measured in compare.compare(ctx.obj, engines, workloads, rounds, lambda what: _tell(status, what)):
            done[measured.workload] = measured
            if only is None:
                report.write(BENCHMARKS, list(done.values()))
    for measured in done.values():
        console.print(Markdown("\n".join(report.table(measured))))


@app.command("flame")
def draw_flame_graphs(ctx: typer.Context) -> None:
    """Flame graphs of the Python components at full rate, to docs/flame/. Needs root, for py-spy.

    Example: oda bench flame
    """
    with own_stream(ctx.obj) as (storm, settings):
        fill(settings, Workload(100, 2_000_000))
        system = _system(ctx.obj, storm, settings)
        with storm.running(settings.kafka.group):
            files = flame.draw(system, FLAMES)
    for file in files:
        console.print(f"{file}", highlight=False)


@app.command("cost")
def measure_cost(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = _MANY_SERIES,
    readings: Annotated[
        int,
        typer.Option(
            min=10_000, help=f"How many are measured, at least {_LEAST_A_SERIES} a series; as many go before."
        ),
    ] = 1_000_000,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with what `oda plan` foretells; write no file.")
    ] = False,
) -> None:
    """Readings per CPU second, and memory, of each process as series grow. Writes benchmarks/cost.json.

    Examples:

        oda bench cost

        oda bench cost --check --series 300 --series 3000 --series 30000
    """
    costs = []
    for number in series:
        with own_stream(ctx.obj) as (storm, settings):
            system = _system(ctx.obj, storm, settings)
            found = cost.measure(system, Workload(number, max(readings, _LEAST_A_SERIES * number)))
        costs.append(found)
        console.print(_cost_table(found))
    if check:
        console.print(_check_table(load_model(), costs))
    else:
        COST.write_bytes(msgspec.json.format(msgspec.json.encode(costs)) + b"\n")


def _check_table(model: Model, costs: list[CostRun]) -> Table:
    """What the model foretells over what was measured."""
    table = Table("series", "CPU, whole system", *(f"disk of {store}" for store in SERVED), "memory of both bolts")
    for found in costs:
        cpu = sum(model.cpu(name, found.density) for name in found.cpu) * found.readings / sum(found.cpu.values())
        disk = [model.disk(store, found.density) * found.readings / found.disk[store] for store in SERVED]
        memory = model.memory(found.series) / found.state_mb / 2**20
        table.add_row(f"{found.series:,}", *(f"{ratio:.2f}" for ratio in (cpu, *disk, memory)))
    return table


def _cost_table(found: CostRun) -> Table:
    title = f"{found.series:,} series: {found.readings / found.seconds:,.0f} readings/s"
    table = Table("process", "readings per CPU second", "of a core", "MiB", title=title)
    for name, cpu in found.cpu.items():
        figures = (f"{found.readings / max(cpu, 0.01):,.0f}", f"{cpu / found.seconds:.2f}", f"{found.memory[name]:.0f}")
        table.add_row(name, *figures)
    for name, size in found.disk.items():
        table.add_row(f"disk of {name}", f"{size / found.readings:.1f} bytes a reading", "", f"{size / 2**20:.0f}")
    return table


class Store(StrEnum):
    """The stores that can be down while readings still come."""

    CASSANDRA = "cassandra"
    ELASTICSEARCH = "elasticsearch"


@app.command("outage")
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
            found = outage.measure(system, store, minutes * 60, rate, lambda what: _tell(status, what))
        console.print(_memory_table(found.samples, found.down[0], found.during()))
        _print_outage(found)


@app.command("soak")
def measure_soak(
    ctx: typer.Context,
    minutes: Annotated[float, typer.Option(min=1, help="For how long, after two minutes of warm-up.")] = 30.0,
    rate: Annotated[int, typer.Option(min=100, help="Readings a second.")] = 20_000,
) -> None:
    """A steady load for long: memory of each process, and how far behind the stores are.

    Example: oda bench soak --minutes 30 --rate 20000
    """
    with (
        console.status("warming up") as status,
        own_stream(ctx.obj) as (storm, settings),
        storm.running(settings.kafka.group),
    ):
        system = _system(ctx.obj, storm, settings)
        samples, began = soak.measure(system, rate, minutes * 60, lambda what: _tell(status, what))
        throughput.wait_for_commits(settings)
    during = [sample for sample in samples if sample.at >= began]
    console.print(_memory_table(samples, began, during))
    produced = (during[-1].end - during[0].end) / (during[-1].at - during[0].at)
    behind = [sample.behind for sample in during]
    console.print(
        f"{produced:,.0f} readings/s for {minutes:g} minutes; behind: {np.median(behind):,.0f} in the middle, "
        f"{max(behind):,} at most; all were committed in the end."
    )


def _system(context: Context, storm: Storm, settings: Settings) -> System:
    return System(local_cluster(context, console), storm, settings, settings.kafka.group)


@contextmanager
def _audited(context: Context) -> Iterator[System]:
    """A topology on a stream of its own. At the end the audit; exit code 1 if it finds a fault."""
    with own_stream(context) as (storm, settings), storm.running(settings.kafka.group):
        yield _system(context, storm, settings)
        sound = is_sound(settings, _DRAIN_SECONDS, console)
    if not sound:
        raise typer.Exit(1)


def _tell(status: Status, what: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')}  {what}", highlight=False)
    status.update(what)


def _memory_table(samples: list[Sample], since: float, during: list[Sample]) -> Table:
    """Growth is the slope of a line through the samples of the time that counts; `before` is that of `since`."""
    columns = ("before", "at its start", "at its end", "highest", "growth a minute")
    table = Table("process", *columns, title="Resident memory, MiB, in the time that counts")
    for column in table.columns[1:]:
        column.justify = "right"
    before = [sample for sample in samples if sample.at < since][-1]
    for name in before.memory:
        rows = [(sample.at, sample.memory[name]) for sample in during if name in sample.memory]
        if not rows:
            table.add_row(name, f"{before.memory[name]:.0f}", "killed")
            continue
        at, memory = np.array(rows).T
        highest = max(sample.memory.get(name, 0) for sample in samples)
        figures = (before.memory[name], memory[0], memory[-1], highest)
        table.add_row(name, *(f"{mib:.0f}" for mib in figures), f"{np.polyfit(at, memory, 1)[0] * 60:+.1f}")
    return table


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
