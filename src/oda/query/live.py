"""The system as it is now: what was newest of each series, and the incidents. Bounded; fed by `oda.query.feed`."""

from __future__ import annotations

from typing import Any, Literal

from oda.audit.record import AuditRecord
from oda.core.rules.match import Rules
from oda.core.rules.rule import Rule
from oda.query.bands import is_enough, scored
from oda.query.feed import News
from oda.query.incidents import Incidents
from oda.query.rules import RulesInLog
from oda.query.series import Known, SeriesTable

State = Literal["judged", "no window closed yet", "one reading a window", "silent"]

_SILENT_MS = 60_000
"""A series is silent when nothing came for so long, and for so long that its window is closed by the clock."""


class Live:
    """What the page's overviews show.

    Attributes:
        series: all of them.
        incidents: open and newest ones.
        changed: the places of those that the last news changed.
        audit: what the newest audit of the group found; None if there was none.
    """

    def __init__(self, group: str) -> None:
        self.audit: AuditRecord | None = None
        self._group = group
        self.series = SeriesTable()
        self.incidents = Incidents()
        self.changed: list[str] = []

    def take(self, news: News, now: int) -> None:
        """Take note of what came; `now` in epoch ms."""
        for partition, readings, heard in news.readings:
            self.series.take_readings(partition, readings, heard, now)
        for window in news.windows:
            self.series.take_window(window.partition, window.row)
        for anomaly in news.anomalies:
            self.series.take_anomaly(anomaly.partition, anomaly.row)
        for verdict in news.verdicts:
            self.incidents.say(verdict)
        for audit in news.audits:
            if audit.group == self._group:
                self.audit = audit
        known = [self.incidents.take(incident) for incident in news.incidents]
        changed = [one.place for one in known if one is not None] + [verdict.place for verdict in news.verdicts]
        self.changed = list(dict.fromkeys(changed))

    def describe(self, known: Known, rules: RulesInLog, now: int) -> dict[str, Any]:
        """One series as the API tells it."""
        return {
            "name": known.name,
            "partition": known.partition,
            "last_time": known.last_time,
            "last_value": known.last_value,
            "rate": known.rate,
            "anomalies": known.anomalies,
            "last_anomaly": known.last_anomaly and known.last_anomaly._asdict(),
            "open_incidents": self.incidents.by_series.get(known.name, 0),
            "state": state_of(known, _newest(rules, known.partition).of(known.name), now),
        }


def _newest(rules: RulesInLog, partition: int) -> Rules:
    marks = rules.of(partition)
    return marks[-1].rules if marks else rules.options


def state_of(known: Known, rule: Rule, now: int) -> State:
    """Whether a series is judged, and if not, why; `now` in epoch ms."""
    closes_ms = sum((rule.window.size_ms, rule.window.lateness_ms, rule.window.idle_ms)) if rule.window else 0
    if known.heard < now - max(_SILENT_MS, closes_ms):
        return "silent"
    count = known.window if rule.window else 1
    if not count and not scored(rule):
        return "no window closed yet"
    return "judged" if is_enough(rule, count) else "one reading a window"
