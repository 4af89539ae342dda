"""The run of a trial: the machines of a partition over readings, and what they found. Pure.

The result does not depend on how the readings are cut into parts.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Batch, ClockMark, Closings, Readings, Silent
from oda.core.groups.told import Member
from oda.core.judgement import Judgement
from oda.core.kinds import ANOMALIES, INCIDENTS, ClosedWindow
from oda.core.rules.match import Rules
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows
from oda.settings import Settings
from oda.trial.clock import FileClock
from oda.trial.found import Found, Gathered
from oda.trial.groups import Groups
from oda.trial.places import Inserted, moved

_STRIDE = 2
"""Offsets of a reading: one is for a clock record before it, so that a reading has the same one whatever the rules."""


_AFTER_ALL = 2**62
"""A time by which every window is over, epoch ms."""


def run(parts: Iterable[Readings], settings: Settings, rules: Rules, keep: bool = False) -> Found:
    """Run to the end of the readings; see `Trial.end` for what is open then.

    Args:
        parts: readings in the order of the file; their offsets do not matter.
        settings: the topology's options; its servers do not matter.
        rules: that hold from the beginning.
        keep: whether readings and windows are wanted.
    """
    trial = Trial(settings, rules, keep)
    for readings in parts:
        trial.take(readings)
    return trial.end()


class Trial:
    """One run; see `run`."""

    def __init__(self, settings: Settings, rules: Rules, keep: bool = False) -> None:
        self._windows, self._judgement = PartitionWindows(settings), Judgement(settings)
        self._windows.rules = self._judgement.rules = rules
        self._judgement.is_grouped = bool(rules.groups)
        self._groups = Groups(settings, rules) if rules.groups else None
        self._members: list[Member] = []
        self._derived = Inserted()
        self._clock = FileClock(rules)
        self._silence: Silence | None = None
        self._gathered = Gathered(keep)

    def take(self, readings: Readings) -> None:
        """Readings that follow those of before, one at least."""
        for part, is_told in self._groups.parts(readings) if self._groups else ((readings, False),):
            self._take(part)
            if is_told:
                self._derive()

    def _derive(self, is_end: bool = False) -> None:
        """Put what groups make of their members into the log, until they make nothing more."""
        while self._groups:
            start = self._windows.position
            members, self._members = self._members, []
            derived = self._groups.tell(members, start, is_end)
            if not derived:
                return
            self._take(Readings.of(range(len(derived)), derived))
            if is_end:
                self._close()
            self._derived.add(start, self._windows.position)

    def _take(self, readings: Readings) -> None:
        start, count = self._windows.position, len(readings.times)
        readings = readings._replace(offsets=start + 1 + np.arange(count) * _STRIDE)
        clock, places = self._clock.take(readings)
        if self._silence is None:
            self._silence = Silence(int(clock[0]))
        begin = 0
        for place in places:
            self._apply(readings, clock, begin, place)
            self._ask(int(clock[place]))
            begin = place
        self._apply(readings, clock, begin, count)
        self._judge(readings, start)

    def end(self) -> Found:
        """There are no more readings: windows that are still open are judged.

        Those that are over by the clock it has closed. Of the others nobody knows how they would go on: they are closed
        as by another reading, since the end of a file is no silence.
        """
        if self._silence is not None:
            start = self._windows.position
            self._ask(self._clock.now)
            self._judge(_NONE, start)
            self._derive()
            self._close()
            self._derive(is_end=True)
        found = self._gathered.end(self._windows.series)
        found.anomalies = moved(ANOMALIES, found.anomalies, self._derived.without)
        found.incidents = moved(INCIDENTS, found.incidents, self._derived.without)
        return found

    def _close(self) -> None:
        start = self._windows.position
        self._ask(_AFTER_ALL)
        self._judge(_NONE, start, is_end=True)

    def _apply(self, readings: Readings, clock: NDArray[np.int64], begin: int, end: int) -> None:
        """Bring the windows forward over some of the readings, and note when their series were heard of."""
        if begin == end:
            return
        assert self._silence is not None
        part = readings.some(begin, end)
        last = np.empty(len(part.names), np.int64)
        last[part.series] = clock[begin:end]  # of equal indexes, the last assignment stays
        for name, heard in zip(part.names, last.tolist(), strict=True):
            self._silence.heard(heard, [name])
        self._windows.apply(self._batch(self._windows.position, int(part.offsets[-1]) + 1, part))

    def _ask(self, clock: int) -> None:
        """Have the clock close what is over."""
        assert self._silence is not None
        through, _ = self._silence.due(clock, self._windows)
        if through:
            offset = self._windows.position
            mark = ClockMark(offset, offset, dict(sorted(through.items())))  # they come from a set
            self._windows.apply(self._batch(offset, offset + 1, _NONE)._replace(marks=[mark]))

    def _judge(self, readings: Readings, start: int, is_end: bool = False) -> None:
        """Bring the judgement to where the windows are, and take what was found."""
        batch = self._batch(start, self._windows.position, readings)
        of_windows = self._windows.outputs(batch)
        closed: list[ClosedWindow] = of_windows["closed"]
        silent: dict[str, list[Silent]] = {}
        if is_end:
            silent = {"silent": []}
            closed = [msgspec.structs.replace(window, closed_by="data") for window in closed]
        batch = batch._replace(closings=Closings.of(self._windows.forgotten, of_windows | {"closed": closed} | silent))
        self._judgement.apply(batch)
        outputs = self._judgement.outputs(batch)
        self._members += outputs.get("members", [])
        self._gathered.take(readings, closed, outputs["anomalies"], outputs["incidents"])

    def _batch(self, start: int, end: int, readings: Readings) -> Batch:
        """What lies before the part that is being taken will not be asked for again."""
        return Batch(0, 0, 0, start, end, self._judgement.position, 0, readings)


_NONE = Readings.of([], [])
