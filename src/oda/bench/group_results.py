"""Means of groups as any engine writes them to Kafka, beside those that the simple implementation's windows give.

An engine may tell a window of a group time and again, with what came of members since: the last that it tells counts.
What is compared are windows that all of them must have whole, because the readings have come far enough beyond them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import fsum
from typing import Any

import msgspec

from oda.bench.results import STALLED_SECONDS, Rows, differences
from oda.core.groups import derived
from oda.core.groups.definition import PREFIX
from oda.errors import UserError
from oda.kafka.reader import read_to_end, reader
from oda.kafka.records import Record, lean
from oda.settings import Settings

_LOOK_SECONDS = 0.5


class _Row(msgspec.Struct):
    series: str
    start: int
    members: int
    mean: float


_decode = msgspec.json.Decoder(_Row).decode


def expected_groups(windows: Rows, over: set[tuple[str, int]]) -> Rows:
    """Of some groups' windows: how many members, and the mean of all their readings.

    Args:
        windows: what the simple implementation gives; each series' name has its group's before a slash.
        over: which, by the group's series and start.

    >>> expected_groups({("a/1", 0, None): (1, 2.0, 0.5), ("a/2", 0, None): (3, 6.0, 0.5)}, {("group:a", 0)})
    {('group:a', 0, None): (2, 5.0)}
    """
    found: dict[tuple[str, int], list[tuple[float, ...]]] = defaultdict(list)
    for (series, start, value), figures in windows.items():
        group = PREFIX + series.partition("/")[0]
        if value is None and (group, start) in over:
            found[group, start].append(figures)
    return {(*window, None): _merged(members) for window, members in found.items()}


def _merged(members: list[tuple[float, ...]]) -> tuple[int, float]:
    return len(members), fsum(count * mean for count, mean, _ in members) / fsum(count for count, *_ in members)


class GroupResults:
    """What is written to a topic from now on."""

    def __init__(self, consumer: Any, expected: Rows, members: int) -> None:
        self._consumer = consumer
        self._expected = expected
        self._starts = {start for _, start, _ in expected}
        self._members = members
        self._rows: Rows = {}
        self._last = 0

    def wait(self, must_live: Callable[[], None]) -> float:
        """Return when all that is expected is there, and right: when the last of it came, seconds since 1970.

        `must_live` is called all the time and raises if the engine has ended. Raises:
            UserError: something is missing, or wrong, and nothing came for a minute.
        """
        since = time.monotonic()
        while (fault := differences(self._rows, self._expected)) is not None:
            must_live()
            time.sleep(_LOOK_SECONDS)
            if self._read():
                since = time.monotonic()
            elif time.monotonic() > since + STALLED_SECONDS:
                raise UserError(f"its groups differ: {fault}")
        return self._last / 1000

    def _read(self) -> bool:
        """Whether there was anything."""
        before = self._last
        for _, records in read_to_end(self._consumer):
            for record in records:
                self.take(record)
        return self._last > before

    def take(self, record: Record) -> None:
        """A record: a row of a peer, or a reading that ODA derived, or neither."""
        if record.key == derived.KEY:
            reading = derived.decode(record.value)
            row = _Row(reading.series, reading.time, self._members, reading.value)  # by its rule none may lack
        elif (record.key or b"").startswith(PREFIX.encode()):
            row = _decode(record.value or b"")
        else:
            return
        if row.start in self._starts:
            self._rows[row.series, row.start, None] = row.members, row.mean
            self._last = max(self._last, record.timestamp)


@contextmanager
def group_results(settings: Settings, topic: str, expected: Rows, members: int) -> Iterator[GroupResults]:
    """Those that are written to a topic from now on; each group has so many members."""
    with reader(settings.kafka, [topic], from_beginning=False) as consumer:
        yield GroupResults(lean(consumer), expected, members)
