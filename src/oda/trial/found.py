"""What a trial found, and how it is gathered part by part. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import add, attrgetter
from typing import NamedTuple

import numpy as np

from oda.core.batch import Readings
from oda.core.kinds import Anomaly, ClosedWindow, Incident
from oda.core.reading import MAX_TIME
from oda.core.windows import Series


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

    def plus(self, other: Counts) -> Counts:
        """Of a series that is in several partitions."""
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Counts._make(map(add, self, other))._replace(first=first, last=last)


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


class Gathered:
    """Of one partition, what comes of its readings; readings and windows themselves if they are to be kept."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._found = Found()
        self._times: dict[str, tuple[int, int, int]] = {}  # readings, first and last time, by series
        self._closed: Counter[str] = Counter()
        self._incidents: dict[tuple[int, str], Incident] = {}

    def take(
        self,
        readings: Readings,
        closed: Sequence[ClosedWindow],
        anomalies: Sequence[Anomaly],
        incidents: Sequence[Incident],
    ) -> None:
        """A part of the log, and what came of it."""
        self._found.anomalies += anomalies
        for incident in sorted(incidents, key=attrgetter("found_at")):  # they come series by series
            self._incidents[incident.offset, incident.detector] = incident
        self._closed.update(window.series for window in closed)
        if self._keep:
            self._found.windows += closed
            if readings.names:
                self._found.readings.append(readings)
        self._count(readings)

    def _count(self, readings: Readings) -> None:
        size = len(readings.names)
        counts = np.bincount(readings.series, minlength=size)
        firsts, lasts = np.full(size, MAX_TIME), np.zeros(size, np.int64)
        np.minimum.at(firsts, readings.series, readings.times)
        np.maximum.at(lasts, readings.series, readings.times)
        for name, *more in zip(readings.names, counts.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
            if more[0]:
                count, first, last = self._times.get(name, (0, MAX_TIME, 0))
                self._times[name] = count + more[0], min(first, more[1]), max(last, more[2])

    def end(self, series: Mapping[str, Series]) -> Found:
        """All of it, given what is known of each series in the end."""
        found = self._found
        found.incidents = list(self._incidents.values())
        anomalies = Counter(anomaly.series for anomaly in found.anomalies)
        incidents = Counter(incident.series for incident in found.incidents)
        for name, state in series.items():
            found.series[name] = Counts(
                *self._times[name], self._closed[name], state.late, state.ahead, anomalies[name], incidents[name]
            )
        return found


def joined(parts: Sequence[Found]) -> Found:
    """What was found in several partitions."""
    found = Found()
    for part in parts:
        found.anomalies += part.anomalies
        found.incidents += part.incidents
        found.readings += part.readings
        found.windows += part.windows
        for name, counts in part.series.items():
            found.series[name] = found.series[name].plus(counts) if name in found.series else counts
    return found
