"""`oda bench peers`: ODA beside other stream processors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.markdown import Markdown

from oda.bench import compare, report
from oda.bench.engines import BENCHMARKS, ENGINES
from oda.bench.workload import Workload
from oda.cli.bench.groups import require_equal
from oda.cli.bench.shown import SERIES, console, tell


class Order(StrEnum):
    """Of the readings' times in the log."""

    IN = "in"
    OUT_OF = "out-of"
    BOTH = "both"

    @property
    def shuffled(self) -> list[bool]:
        """For `Workload`."""
        return {"in": [False], "out-of": [True], "both": [False, True]}[self]


def measure_peers(
    ctx: typer.Context,
    series: Annotated[list[int], typer.Option(min=1, help="How many series; may be repeated.")] = SERIES,
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
        require_equal(number, groups)
    engines = [engine for engine in ENGINES if (only is None or only in engine.name) and (engine.groups or not groups)]
    workloads = [Workload(number, readings, late, groups) for late in order.shuffled for number in series]
    done: dict[Workload, compare.EngineRates] = {}
    with console.status("") as status:
        for measured in compare.compare(ctx.obj, engines, workloads, rounds, lambda what: tell(status, what)):
            done[measured.workload] = measured
            if only is None:
                report.write(BENCHMARKS, list(done.values()))
    for measured in done.values():
        console.print(Markdown("\n".join(report.table(measured))))
