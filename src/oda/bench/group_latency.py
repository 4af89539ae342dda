"""How long a group's window takes, beside the windows of its members.

All moments are the broker's, when it appended a record, and each window has two of them that matter. One is when the
readings were there that end it: of a member's window the one that closed it, of a group's the first in the last
partition that is beyond the window's end by the group's lateness. The other is when what came of it was in Kafka: the
member's row in the topic of windows, the group's reading in that of readings. So what is between them is the system's,
and what the lateness adds is told apart.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.bench.group_rule import apply_groups
from oda.bench.load import SERIES, SteadyLoad
from oda.bench.results import stamp
from oda.core import clock, rulemark
from oda.core.groups import derived
from oda.core.groups.definition import PREFIX, Definition
from oda.core.kinds import WINDOWS
from oda.core.reading import decode
from oda.errors import UserError
from oda.kafka.reader import read_to_end, reader
from oda.kafka.records import Record, lean
from oda.settings import Settings
from oda.storm.topologies import Storm

_WARM_UP_SECONDS = 60.0
"""A worker's young JVM compiles for most of a minute."""

_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.5

Window = tuple[str, int]
"""A group, without what its series' name begins with, and the window's start, epoch ms."""


class GroupLatencies(NamedTuple):
    """In ms, one figure a group's window, each of shape (n,).

    Attributes:
        definition: what the groups' rule says.
        members: from the reading that closes a member's window to its row; of the group's members the longest.
        group: from the readings that let the group's window close to its reading.
        behind: from the last of the members' rows to the group's reading; this contains the lateness.
        beyond: the same without it.
    """

    definition: Definition
    members: NDArray[np.float64]
    group: NDArray[np.float64]
    behind: NDArray[np.float64]
    beyond: NDArray[np.float64]


class Seen:
    """What was seen in both topics; each group has so many members. Times in epoch ms, by the broker.

    >>> seen = Seen(Definition(1, 2000, 1000, "mean", 1), 1)
    >>> for offset, (at, appended) in enumerate([(1900, 1905), (2100, 2105), (3100, 3105)]):
    ...     seen.record(0, offset, appended)
    ...     seen.reading(0, at, appended)
    >>> seen.window("rack-1/bench-1", 0, (0, 1), 2120)
    >>> seen.derived("rack-1", 0, 3190)
    >>> found = seen.latencies([("rack-1", 0)])
    >>> [figures.tolist() for figures in found[1:]]
    [[15.0], [85.0], [1070.0], [70.0]]
    """

    def __init__(self, definition: Definition, members: int) -> None:
        self._definition = definition
        self._members = members
        self._appended: dict[tuple[int, int], int] = {}
        self._times: dict[int, list[int]] = {}
        """By partition, the times of its readings that were beyond all before them."""
        self._newest: dict[int, list[int]] = {}
        """When these were appended."""
        self._rows: dict[Window, dict[str, tuple[tuple[int, int], int]]] = {}
        """By member: the place of what closed its window, and when the row was appended."""
        self._derived: dict[Window, int] = {}

    def record(self, partition: int, offset: int, appended: int) -> None:
        """Any record of the topic of readings."""
        self._appended[partition, offset] = appended

    def reading(self, partition: int, at: int, appended: int) -> None:
        """A reading of a series that is no group, in the order of its partition."""
        times = self._times.setdefault(partition, [])
        if not times or at > times[-1]:
            times.append(at)
            self._newest.setdefault(partition, []).append(appended)

    def window(self, series: str, start: int, closed_at: tuple[int, int], appended: int) -> None:
        """The row of a member's window, and the place of what closed it; it may come again."""
        group = series.partition("/")[0]
        self._rows.setdefault((group, start), {}).setdefault(series, (closed_at, appended))

    def derived(self, group: str, start: int, appended: int) -> None:
        """A group's reading; it may come again."""
        self._derived.setdefault((group, start), appended)

    def has(self, wanted: list[Window]) -> bool:
        """Whether all of these have been seen."""
        return all(window in self._derived and len(self._rows.get(window, ())) == self._members for window in wanted)

    def latencies(self, wanted: list[Window]) -> GroupLatencies:
        """Of windows that have been seen."""
        figures = np.array([self._figures(window) for window in wanted], np.float64)
        return GroupLatencies(self._definition, *figures.T)

    def _figures(self, window: Window) -> tuple[int, int, int, int]:
        rows, published = self._rows[window].values(), self._derived[window]
        members = max(appended - self._appended[closed_at] for closed_at, appended in rows)
        behind = published - max(appended for _, appended in rows)
        return members, published - self._over(window[1]), behind, behind - self._definition.lateness

    def _over(self, start: int) -> int:
        """When the last partition had come so far that a group's window is over."""
        due = start + self._definition.size + self._definition.lateness
        return max(self._newest[number][bisect_left(times, due)] for number, times in self._times.items())


def measure(
    settings: Settings, storm: Storm, rate: int, groups: int, seconds: float, lateness_ms: int | None
) -> GroupLatencies:
    """Latencies of the groups' windows that were over while it was measured.

    Args:
        settings: those of a topology that is not running yet, and of topics that hold nothing.
        storm: where it will.
        rate: readings a second, over all series, whose number `groups` divides.
        groups: how many.
        seconds: how long to measure.
        lateness_ms: of the groups; what rules have that say nothing of it, if not given.

    Raises:
        UserError: a group's reading did not arrive.
    """
    stamp(settings)
    members = SERIES // groups
    definition = apply_groups(settings, members, lateness_ms)
    seen = Seen(definition, members)
    with ExitStack() as stack:
        stack.enter_context(storm.running(settings.kafka.group))
        stack.enter_context(SteadyLoad(settings, rate, groups))
        time.sleep(_WARM_UP_SECONDS)
        topics = [settings.kafka.readings, settings.kafka.windows]
        consumer = lean(stack.enter_context(reader(settings.kafka, topics, from_beginning=False)))
        began = time.time_ns() // 1_000_000
        time.sleep(seconds + (definition.size + definition.lateness) / 1000)
        wanted = windows(definition, groups, began, began + int(1000 * seconds))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            is_complete = seen.has(wanted)  # and what it came of is before the ends that are looked up now
            for part, records in read_to_end(consumer):
                for record in records:
                    _see(seen, settings, part.topic, part.partition, record)
            if is_complete:
                return seen.latencies(wanted)
            time.sleep(_LOOK_SECONDS)
    raise UserError(
        f"readings of groups, or windows of their members, did not arrive within {_PATIENCE_SECONDS:.0f} s: members "
        f"came too late for a lateness of {definition.lateness} ms (use a longer --lateness), the machine does not "
        "keep up (use a lower --rate), or a server has failed (see `oda status`)"
    )


def windows(definition: Definition, groups: int, since: int, until: int) -> list[Window]:
    """Those of all groups that lie from one moment to another, epoch ms.

    >>> windows(Definition(1, 2000, 0, "mean", 1), 1, 1500, 7000)
    [('rack-0', 2000), ('rack-0', 4000)]
    """
    size = definition.size
    starts = range(-(-since // size) * size, until - size + 1, size)
    return [(f"rack-{number}", start) for number in range(groups) for start in starts]


def _see(seen: Seen, settings: Settings, topic: str, partition: int, record: Record) -> None:
    if topic == settings.kafka.windows:
        found = WINDOWS.located(record.value)
        seen.window(found.row.series, found.row.start, (found.partition, found.row.closed_at), record.timestamp)
        return
    seen.record(partition, record.offset, record.timestamp)
    if record.key == derived.KEY:
        reading = derived.decode(record.value)
        seen.derived(reading.series.removeprefix(PREFIX), reading.time, record.timestamp)
    elif record.key not in (clock.KEY, rulemark.KEY):
        plain = decode(record.value, record.timestamp, settings.readings.max_ahead_ms, record.by_broker)
        seen.reading(partition, plain.time, record.timestamp)
