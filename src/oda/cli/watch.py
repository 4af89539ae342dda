"""`oda watch`: the averages of closed windows and the anomalies, as they happen."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from oda.cli.context import Context
from oda.cli.hints import Hints
from oda.core.reading import MAX_TIME
from oda.kafka import consumer, create_topics
from oda.settings import Settings

MEMORY = 100_000
"""How many results are remembered, so that one that is repeated is shown once."""


Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
"""Epoch ms."""

Count = Annotated[int, msgspec.Meta(ge=1)]


class WindowMessage(msgspec.Struct):
    """What is shown of a closed window, and its place in the log."""

    topic: str
    partition: int
    first_offset: int
    series: str
    start: Time
    count: Count
    mean: float
    stddev: float

    def place(self) -> Hashable:
        """The same for every repetition of this window, and for no other."""
        return "window", self.topic, self.partition, self.first_offset

    def text(self) -> Text:
        """One line."""
        return Text(
            f"{_time(self.start)}  {_plain(self.series)}  "
            f"{self.count} readings  average {self.mean:.10g}  stddev {self.stddev:.4g}"
        )


class AnomalyMessage(msgspec.Struct):
    """What is shown of an anomaly, and its place in the log."""

    topic: str
    partition: int
    offset: int
    series: str
    time: Time
    value: float
    mean: float
    stddev: float

    def place(self) -> Hashable:
        """The same for every repetition of this anomaly, and for no other."""
        return "anomaly", self.topic, self.partition, self.offset

    def text(self) -> Text:
        """One line, in red."""
        sigmas = abs(self.value - self.mean) / self.stddev if self.stddev else inf
        return Text(
            f"{_time(self.time)}  {_plain(self.series)}  ANOMALY {self.value:.10g}: "
            f"{sigmas:.1f} sigmas from {self.mean:.10g} ± {self.stddev:.4g}",
            style="bold red",
        )


@dataclass
class Counts:
    """What was shown, and what could not be read."""

    windows: int = 0
    anomalies: int = 0
    unreadable: int = 0

    def summary(self) -> str:
        """One line."""
        unreadable = f", {self.unreadable} messages that could not be read" if self.unreadable else ""
        return f"{self.windows} windows, {self.anomalies} anomalies{unreadable}"


class Seen:
    """A bounded memory: forgets the oldest beyond `limit`.

    >>> seen = Seen(limit=2)
    >>> [seen.is_new(key) for key in "aabcab"]
    [True, False, True, True, True, True]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def is_new(self, key: Hashable) -> bool:
        """Whether `key` is not remembered; it is from now on."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True


class Watcher:
    """Turns messages into lines: each result once, and only of the wanted series (none named: of all)."""

    def __init__(self, series: Collection[str], hints: Hints) -> None:
        self.counts = Counts()
        self._hints = hints
        self._series = frozenset(series)
        self._seen = Seen(MEMORY)

    def line(self, kind: type[WindowMessage | AnomalyMessage], data: bytes) -> Text | None:
        """The line for one message; None if there is nothing to show."""
        try:
            result = msgspec.json.decode(data, type=kind)
        except (ValueError, TypeError, RecursionError):  # msgspec's errors, too; None is a tombstone
            self.counts.unreadable += 1
            return None
        if (self._series and result.series not in self._series) or not self._seen.is_new(result.place()):
            return None
        name = _plain(result.series)
        if isinstance(result, WindowMessage):
            self.counts.windows += 1
            self._hints.window(name, result.partition, result.start, result.count)
        else:
            self.counts.anomalies += 1
            self._hints.result(name, result.partition)
        return result.text()


def register(app: typer.Typer) -> None:
    """Add the command to `oda`."""
    app.command()(watch)


def watch(
    ctx: typer.Context,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    series: Annotated[list[str] | None, typer.Option(help="Only this series; may be given more than once.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also the results there are.")] = False,
) -> None:
    """Prints the average of each window as it closes, and anomalies in red; until Ctrl-C unless told when to stop.

    Times are in UTC: of a window its start, of an anomaly the reading's. What is
    not as it seems is told on stderr, once for a series: that it is never judged,
    as its windows hold too few readings; that it is in several partitions.

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
    kinds: dict[str, type[WindowMessage | AnomalyMessage]] = {
        settings.kafka.windows: WindowMessage,
        settings.kafka.anomalies: AnomalyMessage,
    }
    console = Console(highlight=False, soft_wrap=True)
    notes = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
    watcher = Watcher(series, Hints(settings.judge.min_count, notes.print))
    create_topics(settings.kafka)
    deadline = inf if seconds is None else time.monotonic() + seconds
    try:
        with consumer(settings.kafka, list(kinds), from_beginning) as client:
            while (left := deadline - time.monotonic()) > 0:
                for partition, records in client.poll(timeout_ms=min(1.0, left) * 1000).items():
                    for record in records:
                        line = watcher.line(kinds[partition.topic], record.value or b"")
                        if line is not None:
                            console.print(line)
    finally:
        # A console that Ctrl-C interrupted as it wrote a line would write it again.
        Console(highlight=False, soft_wrap=True).print(watcher.counts.summary())
    return watcher.counts


def _time(ms: int) -> str:
    """Epoch ms as UTC.

    >>> _time(1732300000123)
    '2024-11-22 18:26:40.123'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def _plain(name: str) -> str:
    r"""A name that can't command the terminal.

    >>> _plain("pump\x1b[2J")
    'pump\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
