"""Incidents: which anomalies of a series belong together, and what becomes of them (docs/incidents.md).

A state machine over the log of one series and one of its detectors. Pure; what it says does not depend on how the log
was cut into calls. A series without anomalies has no state, and its readings need not be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from oda.core.kinds import Anomaly, Incident

Change = Literal["opened", "escalated", "resolved"]
Cause = Literal["data", "clock", "rules"]


@dataclass(frozen=True)
class Policy:
    """When anomalies become an incident, and when that is over.

    Attributes:
        anomalies, of: it opens with so many anomalies within so many readings.
        quiet_ms: it is resolved by the first reading so long after its last anomaly.
        rest_readings, rest_ms: none opens within so many readings, or within that time, of the opening before.
        escalate_anomalies: it escalates, once, with so many anomalies; 0: never.
        escalate_to: the severity from then on.
    """

    anomalies: int = 1
    of: int = 1
    quiet_ms: int = 600_000
    rest_readings: int = 0
    rest_ms: int = 0
    escalate_anomalies: int = 0
    escalate_to: str = "critical"


class Event(NamedTuple):
    """A record of the log, and the anomalies that it brought about.

    `time` is the reading's, epoch ms; None of a clock record, which says that it is `silent_until` and no reading came.
    """

    offset: int
    time: int | None
    anomalies: Sequence[Anomaly]
    silent_until: int = 0


class Open(msgspec.Struct, array_like=True):
    """An incident that lasts.

    Attributes:
        severity, labels: as the rules had them when it opened; the severity may have escalated since.
        last_time: the largest time of an anomaly, epoch ms.
        quiet_since: the largest time of an anomaly, or of a reading that brought one about, epoch ms.
        number: of its newest change.
        by_clock: whether a clock record brought its newest anomaly about: its silence is what is wrong.
    """

    first: Anomaly
    worst: Anomaly
    severity: str
    labels: str
    count: int
    last_time: int
    quiet_since: int
    number: int = 0
    by_clock: bool = False


class Tracked(msgspec.Struct, array_like=True):
    """What is known of one series and detector: `Tracked()` where there is nothing to know.

    Attributes:
        readings: how many there were since there is something to know.
        newest: their largest time, or an anomaly's, epoch ms.
        candidates: anomalies of no incident, among the last readings, each with the number of its reading.
        incident: the one that is open.
        rest_readings: the number of the reading that ends the rest.
        rest_until: the time that ends the rest, epoch ms.
    """

    readings: int = 0
    newest: int = 0
    candidates: list[tuple[int, Anomaly]] = []
    incident: Open | None = None
    rest_readings: int = 0
    rest_until: int = 0

    @property
    def is_resting(self) -> bool:
        """Whether none may open."""
        return self.readings < self.rest_readings or self.newest < self.rest_until


class _Place(NamedTuple):
    """Where something changes: the record's offset, the time (epoch ms), why, and by which version of the rules."""

    offset: int
    time: int
    cause: Cause
    version: int


_NOTHING = Tracked()


def advance(
    state: Tracked, policy: Policy, severity: str, labels: str, version: int, events: Iterable[Event]
) -> list[Incident]:
    """Apply what happens next; returns the changes that it brings about, in order.

    Args:
        state: changed in place. While it is `Tracked()`, events without anomalies may be left out.
        policy: of the detector.
        severity: of what opens now.
        labels: of what opens now, a JSON object.
        version: of the rules.
        events: one for each reading of the series, and for each clock record that names it, in the order of the log.
    """
    changes: list[Incident] = []
    for event in events:
        if not event.anomalies and state == _NOTHING:
            continue
        place = _hear(state, event, version)
        if state.incident and _is_over(state.incident, policy, event):
            changes.append(_resolve(state, state.incident, place))
        for anomaly in event.anomalies:
            if state.incident:
                _add(state.incident, anomaly, place)
            elif not state.is_resting and _is_enough(state, policy, anomaly):
                state.incident = _open(state, policy, severity, labels, place)
                changes.append(_change(state.incident, "opened", place))
            if state.incident and _escalates(state.incident, policy):
                changes.append(_change(state.incident, "escalated", place))
        _forget(state, policy.of)
    return changes


def resolve(state: Tracked, offset: int, cause: Literal["clock", "rules"], version: int) -> list[Incident]:
    """End an open incident where no quiet did: the series ended, or has other rules.

    Args:
        state: changed in place.
        offset: of the record that says so.
        cause: which of these.
        version: of the rules.

    Returns:
        The change, if one was open.
    """
    if not state.incident:
        return []
    change = _resolve(state, state.incident, _Place(offset, state.newest, cause, version))
    _forget(state, of=0)  # there are no candidates while one is open
    return [change]


def _is_over(incident: Open, policy: Policy, event: Event) -> bool:
    """Whether it has been quiet for long enough; silence is not quiet if it is what is wrong."""
    if event.time is None:
        if event.anomalies or incident.by_clock:
            return False
        return event.silent_until >= incident.quiet_since + policy.quiet_ms
    return event.time >= incident.quiet_since + policy.quiet_ms


def _hear(state: Tracked, event: Event, version: int) -> _Place:
    """Take note of an event; returns where it is."""
    if event.time is None:
        state.newest = max([state.newest, *(anomaly.time for anomaly in event.anomalies)])
        return _Place(event.offset, state.newest, "clock", version)
    state.readings += 1
    state.newest = max(state.newest, event.time)
    return _Place(event.offset, event.time, "data", version)


def _is_enough(state: Tracked, policy: Policy, anomaly: Anomaly) -> bool:
    """Whether an incident opens with this anomaly, which is a candidate now."""
    _drop_old(state, policy.of)
    state.candidates.append((state.readings, anomaly))
    return len(state.candidates) >= policy.anomalies


def _open(state: Tracked, policy: Policy, severity: str, labels: str, place: _Place) -> Open:
    """An incident of the candidates, which are none any more; the rest begins."""
    anomalies = [anomaly for _, anomaly in state.candidates]
    state.candidates = []
    state.rest_readings = state.readings + policy.rest_readings
    state.rest_until = place.time + policy.rest_ms
    last = max(anomaly.time for anomaly in anomalies)
    return Open(
        first=anomalies[0],
        worst=max(anomalies, key=_badness),  # of several the first
        severity=severity,
        labels=labels,
        count=len(anomalies),
        last_time=last,
        quiet_since=max(last, place.time),
        by_clock=place.cause == "clock",
    )


def _add(incident: Open, anomaly: Anomaly, place: _Place) -> None:
    incident.count += 1
    incident.last_time = max(incident.last_time, anomaly.time)
    incident.quiet_since = max(incident.quiet_since, anomaly.time, place.time)
    incident.worst = max(incident.worst, anomaly, key=_badness)
    incident.by_clock = place.cause == "clock"


def _badness(anomaly: Anomaly) -> tuple[float, float]:
    """By score; the worst scores are all 100."""
    return anomaly.score, abs(anomaly.value - anomaly.expected)


def _escalates(incident: Open, policy: Policy) -> bool:
    """Whether an incident escalates now, to a severity that it has from now on."""
    if not 0 < policy.escalate_anomalies <= incident.count or incident.number:
        return False
    incident.severity = policy.escalate_to
    incident.number = 1
    return True


def _resolve(state: Tracked, incident: Open, place: _Place) -> Incident:
    state.incident = None
    incident.number += 1
    return _change(incident, "resolved", place)


def _change(incident: Open, change: Change, place: _Place) -> Incident:
    first, worst = incident.first, incident.worst
    return Incident(
        series=first.series,
        time=first.time,
        offset=first.offset,
        detector=first.detector,
        number=incident.number,
        change=change,
        cause=place.cause,
        severity=incident.severity,
        changed=place.time,
        found_at=place.offset,
        count=incident.count,
        last_time=incident.last_time,
        worst_time=worst.time,
        worst_value=worst.value,
        worst_score=worst.score,
        expected=worst.expected,
        low=worst.low,
        high=worst.high,
        labels=incident.labels,
        rules=place.version,
    )


def _forget(state: Tracked, of: int) -> None:
    """Drop what can't matter any more: candidates before the last `of` readings; all, if nothing is to be known."""
    _drop_old(state, of)
    if not (state.incident or state.candidates or state.is_resting):
        state.readings = state.newest = state.rest_readings = state.rest_until = 0


def _drop_old(state: Tracked, of: int) -> None:
    if state.candidates:
        state.candidates = [one for one in state.candidates if one[0] > state.readings - of]
