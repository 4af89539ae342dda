"""Two results over the same readings: what one found, and the other did not. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from oda.core.kinds import Anomaly, Incident
from oda.trial.found import Found

Row = TypeVar("Row")


class Compared(NamedTuple, Generic[Row]):
    """`gained` and `same` are of the one result, `lost` of the other alone."""

    gained: list[Row]
    lost: list[Row]
    same: list[Row]


class Differences(NamedTuple):
    """Anomalies are the same if they are of one reading, whatever detector found them.

    Incidents are if they are of one series, and some time is common to both, from the first anomaly to the last.
    """

    anomalies: Compared[Anomaly]
    incidents: Compared[Incident]


def compare(found: Found, other: Found) -> Differences:
    """What one found, beside what the other did."""
    return Differences(_anomalies(found, other), _incidents(found, other))


def _anomalies(found: Found, other: Found) -> Compared[Anomaly]:
    mine = {(one.series, one.offset) for one in found.anomalies}
    theirs = {(one.series, one.offset) for one in other.anomalies}
    return Compared(
        [one for one in found.anomalies if (one.series, one.offset) not in theirs],
        [one for one in other.anomalies if (one.series, one.offset) not in mine],
        [one for one in found.anomalies if (one.series, one.offset) in theirs],
    )


def _incidents(found: Found, other: Found) -> Compared[Incident]:
    mine, theirs = _Spans(found.incidents), _Spans(other.incidents)
    return Compared(
        [one for one in found.incidents if not theirs.meet(one)],
        [one for one in other.incidents if not mine.meet(one)],
        [one for one in found.incidents if theirs.meet(one)],
    )


class _Spans:
    """The times of incidents, by series: their beginnings, and the latest end of any that began until then."""

    def __init__(self, found: Sequence[Incident]) -> None:
        self._begins: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for one in sorted(found, key=lambda one: one.time):
            ends = self._ends.setdefault(one.series, [])
            ends.append(max([one.last_time, *ends[-1:]]))
            self._begins.setdefault(one.series, []).append(one.time)

    def meet(self, one: Incident) -> bool:
        before = bisect_right(self._begins.get(one.series, []), one.last_time)
        return before > 0 and self._ends[one.series][before - 1] >= one.time
