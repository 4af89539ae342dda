"""Incidents as their newest changes have them, and what people said of them. Bounded. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from oda.core.groups.definition import is_group
from oda.core.groups.suppression import Suppression
from oda.core.kinds import INCIDENTS, Incident, Located
from oda.core.rules.match import Rules
from oda.verdicts import Verdict

MOST_OPEN = 100_000
"""Open incidents that are known; beyond them the oldest is forgotten."""

MOST_RESOLVED = 20_000

_MOST_FOUND = 100

STATES = ("all", "open", "resolved")

State = Literal["open", "resolved", "all"]


class Known(NamedTuple):
    """One incident: its place, when it was opened (epoch ms), its newest change, and the newest verdict.

    `suppressed_by` is the group whose incident suppresses it.
    """

    place: str
    opened: int | None
    newest: Incident
    verdict: Verdict | None
    suppressed_by: str | None = None

    def document(self) -> dict[str, Any]:
        """As the API tells it."""
        row, said = self.newest, self.verdict
        return {
            "place": self.place,
            "series": row.series,
            "detector": row.detector,
            "severity": row.severity,
            "labels": labels_of(row),
            "time": row.time,
            "opened": row.time if self.opened is None else self.opened,
            "resolved": row.changed if row.change == "resolved" else None,
            "cause": row.cause if row.change == "resolved" else None,
            "count": row.count,
            "worst_time": row.worst_time,
            "worst_value": row.worst_value,
            "worst_score": row.worst_score,
            "expected": row.expected,
            "low": row.low,
            "high": row.high,
            "last_time": row.last_time,
            "rules": row.rules,
            "suppressed_by": self.suppressed_by,
            "verdict": said and {name: getattr(said, name) for name in _SAID},
        }


_SAID = ("verdict", "acknowledged", "comment", "by", "at")


def labels_of(incident: Incident) -> dict[str, str]:
    """Its labels; none if they are no JSON object."""
    try:
        found = json.loads(incident.labels)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def place_of(found: Located[Incident]) -> str:
    """What names an incident: the place of its first anomaly in the log, and the detector.

    >>> change = "sigma/1", 0, "opened", "data", "warning", 5, 7, 1, 5, 5, 9.0, 99.0, 1.0, 0.0, 2.0, "{}", 0
    >>> place_of(Located("readings", 3, Incident("pump", 5, 7, *change)))
    'readings:3:7:sigma/1'
    """
    whole = INCIDENTS.place(INCIDENTS.document(*found))
    return whole.rpartition(":")[0]


class Incidents:
    """The open ones, and the newest of those that were resolved.

    Attributes:
        by_series: how many are open of each series that has any.
    """

    def __init__(self, most_open: int = MOST_OPEN, most_resolved: int = MOST_RESOLVED) -> None:
        self.by_series: dict[str, int] = {}
        self._most = {True: most_open, False: most_resolved}
        self._open: OrderedDict[str, Known] = OrderedDict()
        self._resolved: OrderedDict[str, Known] = OrderedDict()
        self._verdicts: dict[str, Verdict] = {}
        self._found: dict[tuple[str, str, str, str, bool], list[Known]] = {}
        """What was asked for since the last change: all viewers ask the same after it."""
        self._rules: Rules | None = None
        self._of_groups: dict[str, Incident] = {}
        self._suppression: Suppression | None = None
        """By `_of_groups`; None until it is asked for."""

    def follow(self, rules: Rules) -> None:
        """Work out by these rules what is suppressed."""
        if rules is not self._rules:
            self._rules, self._suppression = rules, None
            self._found.clear()

    def take(self, found: Located[Incident]) -> Known | None:
        """Take note of a change; None if a later one is known, or the same."""
        place, row = place_of(found), found.row
        former = self._open.get(place) or self._resolved.get(place)
        if former is not None and former.newest.number >= row.number:
            return None
        opened = row.changed if row.number == 0 else former.opened if former else None
        known = Known(place, opened, row, self._verdicts.get(place))
        self._remove(place)
        self._found.clear()
        is_open = row.change != "resolved"
        part = self._open if is_open else self._resolved
        part[place] = known
        if is_group(row.series):
            self._of_groups[place], self._suppression = row, None
        if is_open:
            self.by_series[row.series] = self.by_series.get(row.series, 0) + 1
        if len(part) > self._most[is_open]:
            self._remove(next(iter(part)))
        return known

    def say(self, verdict: Verdict) -> None:
        """Take note of a verdict, which may come before its incident."""
        self._verdicts[verdict.place] = verdict
        self._found.clear()
        for part in (self._open, self._resolved):
            if verdict.place in part:
                part[verdict.place] = part[verdict.place]._replace(verdict=verdict)

    def get(self, place: str) -> Known | None:
        """One; None if it is not known."""
        known = self._open.get(place) or self._resolved.get(place)
        return known and self._marked(known)

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The newest one of each place."""
        return self._verdicts

    def find(self, state: State, search: str, severity: str, label: str, with_suppressed: bool = True) -> list[Known]:
        """Open first, then the newest first, by when they opened.

        Args:
            state: which.
            search: a part of the series' name, whatever its case.
            severity: empty for any.
            label: `name=value`, or a name; empty for any.
            with_suppressed: whether also those that incidents of groups suppress.
        """
        key = state, search, severity, label, with_suppressed
        if key not in self._found:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            meant = (one for one in self._of(state) if _is_meant(one.newest, search.casefold(), severity, label))
            found = [one for one in map(self._marked, meant) if with_suppressed or one.suppressed_by is None]
            found.sort(key=lambda one: (one.newest.change == "resolved", -one.newest.time, one.place))
            self._found[key] = found
        return self._found[key]

    def counts(self) -> dict[str, int]:
        """Of the open ones, how many have each severity."""
        found: dict[str, int] = {}
        for one in self._open.values():
            found[one.newest.severity] = found.get(one.newest.severity, 0) + 1
        return found

    def suppressed(self) -> int:
        """How many open ones incidents of groups suppress."""
        return sum(self._marked(one).suppressed_by is not None for one in self._open.values())

    def _marked(self, known: Known) -> Known:
        if self._rules is None or not self._of_groups:
            return known
        if self._suppression is None:
            self._suppression = Suppression(self._rules, self._of_groups.values())
        by = self._suppression.by(known.newest)
        return known if by is None else known._replace(suppressed_by=by)

    def _of(self, state: State) -> Iterator[Known]:
        if state != "resolved":
            yield from self._open.values()
        if state != "open":
            yield from self._resolved.values()

    def _remove(self, place: str) -> None:
        self._resolved.pop(place, None)
        if self._of_groups.pop(place, None):
            self._suppression = None
        former = self._open.pop(place, None)
        if former is not None:
            series = former.newest.series
            self.by_series[series] -= 1
            if not self.by_series[series]:
                del self.by_series[series]


def _is_meant(row: Incident, search: str, severity: str, label: str) -> bool:
    if search not in row.series.casefold() or severity not in ("", row.severity):
        return False
    if not label:
        return True
    name, has_value, value = label.partition("=")
    found = labels_of(row).get(name)
    return found is not None and (not has_value or found == value)
