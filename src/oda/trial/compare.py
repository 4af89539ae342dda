"""Two results over the same readings: what one found, and the other did not. Pure."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from oda.core.groups.definition import is_group
from oda.core.kinds import Anomaly, Incident
from oda.core.spans import Spans
from oda.trial.found import Found

Row = TypeVar("Row")


class Compared(NamedTuple, Generic[Row]):
    """`gained` and `same` are of the one result, `lost` of the other alone."""

    gained: list[Row]
    lost: list[Row]
    same: list[Row]


class Differences(NamedTuple):
    """Anomalies are the same if they are of one reading, whatever detector found them; of a group, of one time.

    Incidents are if they are of one series, and some time is common to both, from the first anomaly to the last.
    """

    anomalies: Compared[Anomaly]
    incidents: Compared[Incident]


def compare(found: Found, other: Found) -> Differences:
    """What one found, beside what the other did."""
    return Differences(_anomalies(found, other), _incidents(found, other))


def _anomalies(found: Found, other: Found) -> Compared[Anomaly]:
    mine, theirs = set(map(_identity, found.anomalies)), set(map(_identity, other.anomalies))
    return Compared(
        [one for one in found.anomalies if _identity(one) not in theirs],
        [one for one in other.anomalies if _identity(one) not in mine],
        [one for one in found.anomalies if _identity(one) in theirs],
    )


def _identity(one: Anomaly) -> tuple[str, int]:
    """Where in the log a group's reading is, depends on the rules."""
    return one.series, one.time if is_group(one.series) else one.offset


def _incidents(found: Found, other: Found) -> Compared[Incident]:
    mine, theirs = Spans.of(found.incidents), Spans.of(other.incidents)
    return Compared(
        [one for one in found.incidents if not _is_in(theirs, one)],
        [one for one in other.incidents if not _is_in(mine, one)],
        [one for one in found.incidents if _is_in(theirs, one)],
    )


def _is_in(spans: Spans, one: Incident) -> bool:
    return spans.meet(one.series, one.time, one.last_time)
