"""`oda try --topic`, `--archive`: over what the running system has, told how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from oda.cli.spans import end_of, moment, place
from oda.core.rules.match import Rules
from oda.core.rules.pattern import Pattern
from oda.errors import UserError
from oda.settings import Settings
from oda.shadow.run import opened
from oda.stores.cassandra import CassandraStore
from oda.trial.found import Found
from oda.trial.system import Part, of_archive, of_topic


def over_topic(
    settings: Settings, chosen: Sequence[Rules], begin: str | None, until: str, series: str, keep: bool
) -> list[Found]:
    """What each of some rules find in the topic of readings; texts as they were typed. Raises UserError."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with (
        opened(settings.kafka, place("--from", _given(begin)), end_of(until)) as log,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        total = sum(span.end - span.start for span in log.spans.values())
        task = progress.add_task(f"topic {settings.kafka.readings}", total=total)
        return of_topic(
            log, settings, chosen, Pattern(series).matcher(), keep, lambda done: progress.advance(task, done)
        )


def over_archive(
    settings: Settings, chosen: Sequence[Rules], begin: str | None, until: str, series: str, keep: bool
) -> list[Found]:
    """The same in the archive."""
    since = moment("--from", _given(begin))
    end = int(time.time() * 1000) if until == "now" else moment("--until", until)
    if since >= end:
        raise UserError(f"--from {begin} is not before --until {until}")
    with closing(CassandraStore(settings)) as store:
        parts = _told(store.readings_between(since, end))
        return of_archive(parts, settings, chosen, Pattern(series).matcher(), keep)


def _given(begin: str | None) -> str:
    if begin is None:
        raise UserError("from where on? --from TIME, or of the topic OFFSET; 0 is the beginning")
    return begin


def _told(parts: Iterator[Part]) -> Iterator[Part]:
    count = 0
    with Console(stderr=True).status("reading the archive") as status:
        for part in parts:
            count += len(part[2])
            status.update(f"reading the archive: {count:,} readings")
            yield part
