"""The run of a trial: the machines of a partition over readings, and what they found. Pure.

The result does not depend on how the readings are cut into parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Batch, ClockMark, Closings, Readings
from oda.core.judgement import Judgement
from oda.core.kinds import Anomaly, ClosedWindow, Incident
from oda.core.reading import MAX_TIME
from oda.core.rules.match import Rules
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows
from oda.settings import Settings
from oda.trial.clock import FileClock

_STRIDE = 2
"""Offsets of a reading: one is for a clock record before it, so that a reading has the same one whatever the rules."""


class Counts(NamedTuple):
    """Of one series; `late` and `ahead` are readings that are in no window. Times in epoch ms."""

    readings: int
    first: int
    last: int
    windows: int
    late: int
    ahead: int
    anomalies: int
    incidents: int


_AFTER_ALL = 2**62
"""A time by which every window is over, epoch ms."""


@dataclass
class Found:
    """What was found.

    Attributes:
        anomalies: in the order of the log.
        incidents: the newest change of each, in the order in which they opened.
        series: by name.
        readings: all of them, and
        windows: those that closed, both in the order of the log; empty unless they were asked for.
    """

    anomalies: list[Anomaly] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    series: dict[str, Counts] = field(default_factory=dict)
    readings: list[Readings] = field(default_factory=list)
    windows: list[ClosedWindow] = field(default_factory=list)


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
        self._clock = FileClock(rules)
        self._silence: Silence | None = None
        self._keep = keep
        self._found = Found()
        self._times: dict[str, tuple[int, int, int]] = {}  # readings, first and last time, by series
        self._closed: Counter[str] = Counter()
        self._incidents: dict[tuple[int, str], Incident] = {}

    def take(self, readings: Readings) -> None:
        """Readings that follow those of before, one at least."""
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
        self._count(readings)

    def end(self) -> Found:
        """There are no more readings: windows that are still open are judged.

        Those that are over by the clock it has closed. Of the others nobody knows how they would go on: they are closed
        as by another reading, since the end of a file is no silence.
        """
        if self._silence is not None:
            start = self._windows.position
            self._ask(self._clock.now)
            self._judge(_NONE, start)
            start = self._windows.position
            self._ask(_AFTER_ALL)
            self._judge(_NONE, start, is_end=True)
        found = self._found
        found.incidents = list(self._incidents.values())
        anomalies = Counter(anomaly.series for anomaly in found.anomalies)
        incidents = Counter(incident.series for incident in found.incidents)
        for name, state in self._windows.series.items():
            found.series[name] = Counts(
                *self._times[name], self._closed[name], state.late, state.ahead, anomalies[name], incidents[name]
            )
        return found

    def _apply(self, readings: Readings, clock: NDArray[np.int64], begin: int, end: int) -> None:
        """Bring the windows forward over some of the readings, and note when their series were heard of."""
        if begin == end:
            return
        assert self._silence is not None
        codes, which = np.unique(readings.series[begin:end], return_inverse=True)
        names = [readings.names[code] for code in codes.tolist()]
        _, _, offsets, times, values = readings
        part = Readings(names, which.astype(np.int32), offsets[begin:end], times[begin:end], values[begin:end])
        last = np.empty(len(names), np.int64)
        last[which] = clock[begin:end]  # of equal indexes, the last assignment stays
        for name, heard in zip(names, last.tolist(), strict=True):
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
        closed: list[ClosedWindow] = self._windows.outputs(batch)["closed"]
        if is_end:
            closed = [msgspec.structs.replace(window, closed_by="data") for window in closed]
        batch = batch._replace(closings=Closings(self._windows.forgotten, closed))
        self._judgement.apply(batch)
        outputs = self._judgement.outputs(batch)
        self._found.anomalies += outputs["anomalies"]
        for incident in outputs["incidents"]:
            self._incidents[incident.offset, incident.detector] = incident
        self._closed.update(window.series for window in closed)
        if self._keep:
            self._found.windows += closed
            if readings.names:
                self._found.readings.append(readings)

    def _batch(self, start: int, end: int, readings: Readings) -> Batch:
        """What lies before the part that is being taken will not be asked for again."""
        return Batch(0, 0, 0, start, end, self._judgement.position, 0, readings)

    def _count(self, readings: Readings) -> None:
        for name, at in zip(readings.names, readings.rows(), strict=True):
            times = readings.times[at]
            count, first, last = self._times.get(name, (0, MAX_TIME, 0))
            self._times[name] = count + len(at), min(first, int(times.min())), max(last, int(times.max()))


_NONE = Readings.of([], [])
