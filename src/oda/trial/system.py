"""A trial on what the running system has: a part of the topic of readings, or of the archive. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS
from oda.core.log import Record
from oda.core.rules.match import Rules
from oda.settings import Settings
from oda.shadow.partition import ShadowPartition
from oda.shadow.run import Log
from oda.trial.found import Found, Gathered, joined
from oda.trial.places import moved
from oda.trial.run import run

Wanted = Callable[[str], object]
"""What is true of the names of series that are judged."""

_NEVER = 2**43 - 1
"""ms. A trial forgets no series."""


def of_topic(
    log: Log, settings: Settings, chosen: Sequence[Rules], wanted: Wanted, keep: bool, progress: Callable[[int], None]
) -> list[Found]:
    """What each of some rules find in a part of the topic; `progress` is told how many offsets are done at a time.

    What is open at its end stays open.
    """
    chosen = list(map(_without_groups, chosen))
    trials = [
        {number: LogTrial(settings, rules, span.start, wanted, keep) for number, span in log.spans.items()}
        for rules in chosen
    ]
    done = {number: span.start for number, span in log.spans.items()}
    for part, records in log.read(is_followed=False):
        if records:
            number, end = part.partition, records[-1].offset + 1
            for trial in trials:
                trial[number].take(records)
            progress(end - done[number])
            done[number] = end
    return [joined([one.end() for one in trial.values()]) for trial in trials]


def _without_groups(rules: Rules) -> Rules:
    """Each partition is tried by itself, and members of a group are in many."""
    return replace(rules, groups=())


class LogTrial:
    """A trial on one partition of the topic of readings, from an offset on; its clock is that of a shadow. Pure."""

    def __init__(self, settings: Settings, rules: Rules, start: int, wanted: Wanted, keep: bool) -> None:
        window = settings.window.model_copy(update={"expire_ms": _NEVER})
        settings = settings.model_copy(update={"window": window})
        self._partition = ShadowPartition(settings, rules, start, wanted)
        self._gathered = Gathered(keep)

    def take(self, records: Sequence[Record]) -> None:
        """Records that follow those of before, one at least."""
        readings = self._partition.read(records)
        rows = self._partition.judge(records, readings)
        self._gathered.take(readings, rows[WINDOWS], rows[ANOMALIES], rows[INCIDENTS])

    def end(self) -> Found:
        return self._gathered.end(self._partition.series)


Part = tuple[str, int, list[tuple[int, int, float]]]
"""A series, a partition, and some of its readings there: offset, time (epoch ms), value."""


def of_archive(
    parts: Iterable[Part], settings: Settings, chosen: Sequence[Rules], wanted: Wanted, keep: bool
) -> list[Found]:
    """What each of some rules find in readings of the archive, in the order of the log. Pure.

    When they came is not archived, so the clock is that of a file, of each partition by itself.
    """
    partitions = _partitions(parts, wanted)
    chosen = list(map(_without_groups, chosen))
    return [
        joined([_in_log(run([one], settings, rules, keep), one.offsets) for one in partitions.values()])
        for rules in chosen
    ]


def _partitions(parts: Iterable[Part], wanted: Wanted) -> Mapping[int, Readings]:
    found: dict[int, list[Readings]] = {}
    for series, partition, some in parts:
        if some and wanted(series):
            offsets, times, values = map(np.array, zip(*some, strict=True))
            found.setdefault(partition, []).append(
                Readings([series], np.zeros(len(some), np.int32), offsets, times, values)
            )
    return {partition: _sorted(Readings.joined(found[partition])) for partition in sorted(found)}


def _sorted(readings: Readings) -> Readings:
    names, series, offsets, times, values = readings
    order = np.argsort(offsets, kind="stable")
    return Readings(names, series[order], offsets[order], times[order], values[order])


def _in_log(found: Found, offsets: NDArray[np.int64]) -> Found:
    """With the offsets of the log: a trial has two for each reading, the first for what the clock says before it."""
    places: list[int] = [*offsets.tolist(), int(offsets[-1]) + 1]

    def place(offset: int) -> int:
        return places[offset // 2]

    found.anomalies = moved(ANOMALIES, found.anomalies, place)
    found.incidents = moved(INCIDENTS, found.incidents, place)
    return found
