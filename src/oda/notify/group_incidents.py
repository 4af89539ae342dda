"""The incidents of groups that a receiver is told of: what they suppress for it now, and what they did before. Pure.

The second is asked of a former run, which left no word of whom it was silent about. But the log of incidents has
times, and by these a run is silent while a member's incident waits, and while one of its groups lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from kafka import TopicPartition

from oda.core.groups.definition import Membership
from oda.core.groups.suppression import Suppression
from oda.core.kinds import Incident
from oda.core.rules.match import Rules
from oda.notify.incident import IncidentChange

_MOST_RESOLVED = 10_000
"""Incidents of groups that are over, and known."""

_OPENS_MS = 10_000
"""Unless the file says how long, a change waits so much longer than its group's window takes to close."""


class Pin(NamedTuple):
    """A record of the log beyond which nothing may be committed: a later run has to read it again."""

    part: TopicPartition
    offset: int


@dataclass
class _OfGroup:
    """An incident: its newest change, and when Kafka got its first one and that of its end, epoch ms."""

    now: IncidentChange
    opened: int
    resolved: float = inf


class _Derived(NamedTuple):
    """What follows from all of them; `lasted`: by series of a group, from when to when Kafka knew of each incident."""

    suppression: Suppression
    lasted: Mapping[str, Sequence[tuple[int, float]]]


class GroupIncidents:
    """Those of one receiver.

    Args:
        wait_ms: how long a member's incident waits; None for as long as its group's window takes, and a little more.
    """

    def __init__(self, wait_ms: int | None) -> None:
        self._wait_ms = wait_ms
        self._rules: Rules | None = None
        self._incidents: dict[str, _OfGroup] = {}  # by place, in the order of their newest changes
        self._ends: dict[str, Pin | None] = {}  # by series that has no incident any more
        self._derived: _Derived | None = None

    def __contains__(self, place: str) -> bool:
        return place in self._incidents

    def follow(self, rules: Rules) -> bool:
        """By the newest rules; returns whether they are others than before."""
        if rules is self._rules:
            return False
        self._rules, self._derived = rules, None
        return True

    def note(self, now: IncidentChange, time: int, pin: Pin | None) -> None:
        """A change of a group's incident: when Kafka got it, epoch ms, and where; None if a former run was there."""
        former = self._incidents.pop(now.place, None)
        one = self._incidents[now.place] = _OfGroup(now, former.opened if former else time)
        if now.row.change == "resolved":
            one.resolved = time
            self._ends[now.row.series] = pin
        else:
            self._ends.pop(now.row.series, None)
        self._derived = None
        self._forget()

    def _forget(self) -> None:
        if len(self._incidents) > _MOST_RESOLVED:
            oldest = next((place for place, one in self._incidents.items() if one.resolved < inf), None)
            if oldest is not None:
                del self._incidents[oldest]

    def suppressor(self, incident: Incident) -> str | None:
        """The series of the group that suppresses an incident in its newest change; None if none does."""
        return self._derive().suppression.by(incident)

    def end_of(self, group: str) -> Pin | None:
        """Where the log says that the group has no incident any more; None if this run has not read that."""
        return self._ends.get(group)

    def wait(self, series: str) -> int | None:
        """For how long a change of a series waits, ms; None if nothing can suppress it."""
        windows = [one.size + one.lateness for _, one in self._suppressors(series)]
        if not windows:
            return None
        return max(windows) + _OPENS_MS if self._wait_ms is None else self._wait_ms

    def told_at(self, series: str, since: int) -> float:
        """When an incident was told of which Kafka got a change at a time, epoch ms; infinite if it was not yet.

        It waited; if one of a group had begun by then it went on waiting until that was over, and so on.
        """
        at: float = since + (self.wait(series) or 0)
        lasted = self._derive().lasted
        for begin, end in sorted(span for group, _ in self._suppressors(series) for span in lasted.get(group, ())):
            if begin > at:
                break
            at = max(at, end)
        return at

    def _suppressors(self, series: str) -> Sequence[Membership]:
        return self._rules.suppressors(series) if self._rules else ()

    def _derive(self) -> _Derived:
        if self._derived is None:
            assert self._rules is not None
            lasted: dict[str, list[tuple[int, float]]] = {}
            for one in self._incidents.values():
                lasted.setdefault(one.now.row.series, []).append((one.opened, one.resolved))
            suppression = Suppression(self._rules, [one.now.row for one in self._incidents.values()])
            self._derived = _Derived(suppression, lasted)
        return self._derived
