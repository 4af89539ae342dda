"""The twin of `oda.core.incidents`: what becomes of the anomalies of one series and detector, one record at a time.

It exists to be checked by eye (docs/incidents.md says the same in words), and shares with the core only the type of the
rows and the policy.
"""

from __future__ import annotations

from typing import Any, Literal

from oda.core.incidents import Policy
from oda.core.kinds import Anomaly, Incident


class Incidents:
    """The incidents of one series and detector, read once from the beginning.

    Attributes:
        changes: each, in the order of the log.
        policy, severity, labels (a JSON object), version: what the rules say now; may be set anew at any record.

    >>> spike = Anomaly("pump-7", 1000, 5, 9.0, 1.0, 0.5, 7, 0, "sigma/1", 100.0, 1.0, -1.0, 3.0, found_at=5, rules=0)
    >>> incidents = Incidents(Policy(quiet_ms=100), "warning", "{}", version=0)
    >>> incidents.read(5, 1000, [spike])
    >>> incidents.read(6, 1099, [])
    >>> incidents.read(7, 1100, [])
    >>> [(row.number, row.change, row.cause, row.found_at) for row in incidents.changes]
    [(0, 'opened', 'data', 5), (1, 'resolved', 'data', 7)]
    """

    def __init__(self, policy: Policy, severity: str, labels: str, version: int) -> None:
        self.changes: list[Incident] = []
        self.severity = severity
        self.labels = labels
        self.version = version
        self.policy = policy
        self._recent: list[list[Anomaly]] = [[]]
        """Of the last readings, each, and the clock records behind it: anomalies that may become an incident."""
        self._mine: list[Anomaly] = []
        """The anomalies of the open incident; none if none is open."""
        self._written: dict[str, Any] = {}
        """What its changes say."""
        self._latest = 0
        self._quiet_since = 0
        self._is_silence = False
        self._readings_of_rest = 0
        self._end_of_rest = 0

    def read(self, offset: int, time: int, anomalies: list[Anomaly]) -> None:
        """A reading of the series at `time` (epoch ms), and the anomalies that it brought about."""
        self._latest = max(self._latest, time)
        self._readings_of_rest -= 1
        self._recent.append([])
        del self._recent[: -self.policy.of]
        if self._mine and time - self._quiet_since >= self.policy.quiet_ms:
            self._resolved(offset, time, "data")
        self._found(offset, time, "data", anomalies)

    def read_clock(self, offset: int, time: int, anomalies: list[Anomaly]) -> None:
        """A clock record: no reading came before `time` (epoch ms); in windows that it has closed are these anomalies.

        If they are what is wrong, as a series is that fell silent, then silence does not mend it.
        """
        for anomaly in anomalies:
            self._latest = max(self._latest, anomaly.time)
        del self._recent[: -self.policy.of]  # which may be fewer since the newest reading
        is_quiet = time - self._quiet_since >= self.policy.quiet_ms
        if self._mine and is_quiet and not anomalies and not self._is_silence:
            self._resolved(offset, self._latest, "clock")
        self._found(offset, self._latest, "clock", anomalies)

    def end(self, offset: int, cause: Literal["clock", "rules"]) -> None:
        """The series ended, or gets other rules: what is open is resolved."""
        if self._mine:
            self._resolved(offset, self._latest, cause)
            self._begin_anew_if_nothing_is_left()

    def _found(self, offset: int, time: int, cause: str, anomalies: list[Anomaly]) -> None:
        for anomaly in anomalies:
            self._is_silence = cause == "clock"
            if self._mine:
                self._mine.append(anomaly)
                self._quiet_since = max(self._quiet_since, anomaly.time, time)
            elif self._may_open():
                self._recent[-1].append(anomaly)
                together = [one for of_one in self._recent for one in of_one]
                if len(together) < self.policy.anomalies:
                    continue
                self._opened(together, time)
                self._write("opened", offset, time, cause)
            limit = self.policy.escalate_anomalies
            if self._mine and limit > 0 and len(self._mine) >= limit and self._written["number"] == 0:
                self._written.update(number=1, severity=self.policy.escalate_to)
                self._write("escalated", offset, time, cause)
        self._begin_anew_if_nothing_is_left()

    def _may_open(self) -> bool:
        return self._readings_of_rest <= 0 and self._latest >= self._end_of_rest

    def _opened(self, anomalies: list[Anomaly], time: int) -> None:
        self._mine = anomalies
        self._recent = [[]]
        self._quiet_since = max(time, *(one.time for one in anomalies))
        self._readings_of_rest = self.policy.rest_readings
        self._end_of_rest = time + self.policy.rest_ms
        self._written = {"number": 0, "severity": self.severity, "labels": self.labels}

    def _resolved(self, offset: int, time: int, cause: str) -> None:
        self._written["number"] += 1
        self._write("resolved", offset, time, cause)
        self._mine = []

    def _write(self, change: Any, offset: int, time: int, cause: Any) -> None:
        first, worst = self._mine[0], self._mine[0]
        for one in self._mine:
            further = abs(one.value - one.expected) > abs(worst.value - worst.expected)
            if one.score > worst.score or (one.score == worst.score and further):
                worst = one
        self.changes.append(
            Incident(
                first.series,
                first.time,
                first.offset,
                first.detector,
                change=change,
                cause=cause,
                changed=time,
                found_at=offset,
                count=len(self._mine),
                last_time=max(one.time for one in self._mine),
                worst_time=worst.time,
                worst_value=worst.value,
                worst_score=worst.score,
                expected=worst.expected,
                low=worst.low,
                high=worst.high,
                rules=self.version,
                **self._written,
            )
        )

    def _begin_anew_if_nothing_is_left(self) -> None:
        """What time it was, is known only from the first anomaly on, until nothing is left of it."""
        if not self._mine and not any(self._recent) and self._may_open():
            self._latest = self._end_of_rest = 0
