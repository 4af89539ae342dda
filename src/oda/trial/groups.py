"""The groups of a trial: the members of windows in, readings of groups out, as over a log of members. Pure.

There is one partition. How far it has come, and which windows of members have closed, is told behind each reading that
may have brought a window of a group to its end, and nowhere else: so it does not matter how the file is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from oda.core.batch import Batch, Readings
from oda.core.groups.merging import Merging
from oda.core.groups.told import Mark, Member, Members, Progress, Told
from oda.core.reading import Reading
from oda.core.rules.match import Rules
from oda.settings import Settings
from oda.trial.clock import LargestTime


class Groups:
    """Those of some rules."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._merging = Merging(settings)
        self._times = LargestTime(rules)
        self._windows = sorted({(group.definition.size, group.definition.lateness) for group in rules.groups})
        self._time = -1

    def parts(self, readings: Readings) -> Iterator[tuple[Readings, bool]]:
        """Readings that follow those of before, in parts, each with whether groups are to be told at its end."""
        before = self._times.now
        time = np.r_[before, self._times.take(readings)[1]]
        is_end = np.zeros(len(time) - 1, bool)
        for size, lateness in self._windows:
            is_end |= np.diff((time - lateness) // size) > 0
        begin = 0
        for end in [*(np.flatnonzero(is_end) + 1).tolist(), len(is_end)]:
            if begin < end:
                self._time = int(time[end])
                yield readings.some(begin, end), bool(is_end[end - 1])
                begin = end

    def tell(self, members: Sequence[Member], position: int, is_quiet: bool = False) -> list[Reading]:
        """What groups make of their members, given how far the log has come; `is_quiet` if nothing comes any more."""
        start = self._merging.position
        told: list[Told] = [Members("", 0, list(members)), Progress("", 0, 1, position, self._time, is_quiet)]
        marks = [Mark(start + number, one) for number, one in enumerate(told)]
        batch = Batch(0, 0, 0, start, start + len(marks), start, 0, _NONE, told=marks)
        self._merging.apply(batch)
        return [Reading(row.series, row.time, row.value) for row in self._merging.outputs(batch)["derived"]]


_NONE = Readings.of([], [])
