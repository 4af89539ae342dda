"""`oda watch`: the averages of closed windows, the anomalies and the incidents, as they happen."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from oda.cli.context import Context
from oda.cli.hints import Hints
from oda.core.kinds import Anomaly, ClosedWindow, Incident
from oda.kafka.topics import create_topics
from oda.results import AnyResult, Results
from oda.settings import Settings
from oda.shown import plain, time_text


@dataclass
class Counts:
    """What was shown, and what could not be read; of incidents, how many opened."""

    windows: int = 0
    anomalies: int = 0
    incidents: int = 0
    unreadable: int = 0

    def summary(self) -> str:
        unreadable = f", {self.unreadable} messages that could not be read" if self.unreadable else ""
        incidents = f", {self.incidents} incidents" if self.incidents else ""
        return f"{self.windows} windows, {self.anomalies} anomalies{incidents}{unreadable}"


class Watcher:
    """Turns results into lines, and takes note of them."""

    def __init__(self, hints: Hints) -> None:
        self.counts = Counts()
        self._hints = hints

    def line(self, result: AnyResult) -> Text:
        row, name = result.row, plain(result.row.series)
        if isinstance(row, ClosedWindow):
            self.counts.windows += 1
            if row.rules == 0:  # by the options: rules may have detectors to which one reading is enough
                self._hints.window(name, result.partition, row.start, row.count)
            else:
                self._hints.result(name, result.partition)
            return Text(_window(name, row))
        self._hints.result(name, result.partition)
        if isinstance(row, Incident):
            self.counts.incidents += row.change == "opened"
            return Text(_incident(name, row), style="bold green" if row.change == "resolved" else "bold red")
        assert isinstance(row, Anomaly)  # nothing else was asked for
        self.counts.anomalies += 1
        return Text(_anomaly(name, row), style="bold red")


def _window(name: str, row: ClosedWindow) -> str:
    return f"{time_text(row.start)}  {name}  {row.count} readings  average {row.mean:.10g}  stddev {row.stddev:.4g}"


def _anomaly(name: str, row: Anomaly) -> str:
    return f"{time_text(row.time)}  {name}  ANOMALY {_found(row.value, row.score, row)}"


def _incident(name: str, row: Incident) -> str:
    return (
        f"{time_text(row.changed)}  {name}  INCIDENT {row.change}{_CAUSES[row.cause]}, {plain(row.severity)}: "
        f"{row.count} anomalies since {time_text(row.time)}, the worst {_found(row.worst_value, row.worst_score, row)}"
    )


_CAUSES = {"data": "", "clock": " by the clock", "rules": " by other rules"}


def _found(value: float, score: float, row: Anomaly | Incident) -> str:
    """What was found, beside what was expected."""
    expected = f"{row.expected:.10g} ({row.low:.6g} to {row.high:.6g})"
    return f"{value:.10g}, expected {expected}: score {score:.4g} by {plain(row.detector)}"


def register(app: typer.Typer) -> None:
    app.command()(watch)


def watch(
    ctx: typer.Context,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    series: Annotated[list[str] | None, typer.Option(help="Only this series; may be given more than once.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also the results there are.")] = False,
) -> None:
    """Prints windows as they close, anomalies, and each change of an incident; until Ctrl-C unless told when to stop.

    Times are in UTC: of a window its start, of an anomaly the reading's, of a
    change of an incident the one of the reading that brought it about. What is not
    as it seems is told on stderr, once for a series: that it is never judged, as
    its windows hold too few readings; that it is in several partitions.

    Examples:

        oda watch

        oda watch --series walk-0 --series walk-1 --seconds 60
    """
    context: Context = ctx.obj
    follow(context.settings(), seconds, series or (), from_beginning)


def follow(
    settings: Settings, seconds: float | None = None, series: Collection[str] = (), from_beginning: bool = False
) -> Counts:
    """Print results to stdout as they come, and at the end how many there were.

    Args:
        settings: where Kafka is, and the topics' names; the topics are made if missing.
        seconds: for how long; None until Ctrl-C.
        series: only these; empty for all.
        from_beginning: also the results that are there already.

    Raises:
        UserError: Kafka can't be reached.
    """
    console = Console(highlight=False, soft_wrap=True)
    notes = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
    results = Results(settings.kafka, series)
    watcher = Watcher(Hints(settings.judge.min_count, notes.print))
    create_topics(settings.kafka)
    deadline = inf if seconds is None else time.monotonic() + seconds
    try:
        for result in results.read(from_beginning, deadline):
            console.print(watcher.line(result))
    finally:
        watcher.counts.unreadable = results.unreadable
        # A console that Ctrl-C interrupted as it wrote a line would write it again.
        Console(highlight=False, soft_wrap=True).print(watcher.counts.summary())
    return watcher.counts
