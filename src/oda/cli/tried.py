"""What a trial found, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oda.core.groups.suppression import Suppression
from oda.core.rules.match import Rules
from oda.trial import words
from oda.trial.compare import Compared, Differences
from oda.trial.found import Found
from oda.trial.hints import hints
from oda.trial.verdicts import Scored
from oda.trial.words import Grid

T = TypeVar("T")

SHOWN = 20
"""Rows of a table."""


def show(
    title: str, found: Found, rules: Rules, left_out: int, differences: Differences | None, console: Console
) -> None:
    """Print all of it; of long tables the beginning."""
    suppression = Suppression(rules, found.incidents)
    console.print(Text(f"{title}: {words.summary(found, left_out, suppression)}", "bold"), soft_wrap=True)
    for hint in hints(found, rules):
        console.print(Text(hint, "yellow"), soft_wrap=True)
    if differences is None:
        told = [one for one in found.incidents if suppression.by(one) is None]
        table("Incidents", words.incidents(told, SHOWN), console)
        table("Anomalies", words.anomalies(found.anomalies, SHOWN), console)
    else:
        compared("Incidents", differences.incidents, words.incidents, console)
        compared("Anomalies", differences.anomalies, words.anomalies, console)
    table("Series", words.series(found, SHOWN), console)


def scored(scores: Sequence[Scored], console: Console) -> None:
    """What became of what people said of incidents: of the rules, and of those that they are held against."""
    for rules, one in zip(("--rules", "--against"), scores, strict=False):
        true, false = len(one.found) + len(one.missed), len(one.raised) + len(one.spared)
        console.print(
            Text(
                f"Verdicts, {rules}: {len(one.found):,} of {true:,} true incidents are found, "
                f"{len(one.raised):,} of {false:,} false alarms are raised again"
                + (f"; {one.elsewhere:,} are of other series or times" if one.elsewhere else ""),
                "bold",
            ),
            soft_wrap=True,
        )
        table(f"True incidents that {rules} misses", words.verdicts(one.missed, SHOWN), console)
        table(f"False alarms that {rules} raises", words.verdicts(one.raised, SHOWN), console)


def compared(what: str, rows: Compared[T], grid: Callable[[Sequence[T], int], Grid], console: Console) -> None:
    """How many rows are the same, gained and lost, and which those two are."""
    console.print(
        Text(f"{what}: {len(rows.same):,} are the same, {len(rows.gained):,} are gained, {len(rows.lost):,} are lost")
    )
    table(f"{what} that are gained", grid(rows.gained, SHOWN), console)
    table(f"{what} that are lost", grid(rows.lost, SHOWN), console)


def table(title: str, grid: Grid, console: Console) -> None:
    """Of a long one the beginning, of an empty one nothing."""
    if not grid.rows:
        return
    more = f": the first {SHOWN} of {grid.total:,}" if grid.total > SHOWN else ""
    table = Table(title=Text(title + more), title_justify="left", box=SIMPLE)
    for column in grid.columns:
        table.add_column(column, justify="right" if column.split()[0] in words.NUMBERS else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*map(Text, row))
    console.print(table)
