"""The reference's judgement of one series by one detector, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any, Literal

from oda.audit.detectors import TWINS, BandTwin, ScoreTwin, WindowTwin, score
from oda.audit.incidents import Incidents
from oda.audit.own import own
from oda.core.kinds import Anomaly, Bounds, ClosedWindow, Incident
from oda.core.rules.rule import Rule, Watch

Band = tuple[float, float, float, float, float]
"""Expected, scale, below, above, freedom."""


class Watched:
    """One detector of one series.

    Attributes:
        watch: as the rules have it now.
        anomalies: found, and not collected yet.
        changes: of incidents, not collected yet.
        bounds: what it allows, where that does not follow from the newest window; not collected yet.
    """

    def __init__(self, watch: Watch, rule: Rule, version: int) -> None:
        self.watch = watch
        self.anomalies: list[Anomaly] = []
        self.changes: list[Incident] = []
        self.bounds: list[Bounds] = []
        self._incidents: Incidents | None = None
        twin = TWINS.get(watch.detector.name)
        self._twin: Any = twin(watch.detector.parameters) if twin else own(watch.detector)
        self._band: Band | None = None
        self._version = version
        self._set_policy(rule)

    def judge(self, series: str, time: int, offset: int, value: float, window: ClosedWindow | None) -> Anomaly | None:
        """A reading, against what the series' past allows."""
        if isinstance(self._twin, ScoreTwin):
            is_alarm, points, expected, low, high = self._twin.read(value)
            distance = value - expected
            if not is_alarm or self._is_wrong_way(distance) or abs(distance) < self._least(expected):
                return None
        else:
            band = self._allowed()
            if band is None:
                return None
            expected, scale, below, above, freedom = band
            distance = value - expected
            if not (distance > above or -distance > below) or self._is_wrong_way(distance):
                return None
            points, low, high = score(distance, scale, freedom), expected - below, expected + above
        return self._found(series, time, offset, value, window, points, expected, low, high, offset)

    def begin_with(self, window: ClosedWindow) -> None:
        """One that closed before: what has bands needs not wait for the next, and windows are judged once."""
        if isinstance(self._twin, BandTwin):
            self._band = self._twin.learn(window)

    def learn(self, window: ClosedWindow) -> Anomaly | None:
        """A window that has closed, and what is wrong with it."""
        if isinstance(self._twin, BandTwin):
            self._band = self._twin.learn(window)
        elif isinstance(self._twin, WindowTwin):
            finding = self._twin.look(window)
            if finding is not None:
                value, expected, low, high, points = map(float, finding)
                distance = value - expected
                if abs(distance) >= self._least(expected) and not self._is_wrong_way(distance):
                    at, start = window.closed_at, window.start
                    return self._found(
                        window.series, start, window.first_offset, value, window, points, expected, low, high, at
                    )
        return None

    def tell(self, window: ClosedWindow, since: int) -> None:
        """What holds from a record on, after the window."""
        band = self._allowed()
        if band is not None and self.watch.remembers:
            expected, _, below, above, _ = band
            place = window.series, window.start, since, window.first_offset
            allowed = expected, expected - below, expected + above
            self.bounds.append(Bounds(*place, self.watch.name, *allowed, self._version))

    def follow(self, offset: int, time: int, anomalies: list[Anomaly]) -> None:
        """A reading, and what it brought about."""
        if self._incidents is not None:
            self._incidents.read(offset, time, anomalies)
            self._take_changes()

    def fell_silent(self, offset: int, time: int, anomalies: list[Anomaly]) -> None:
        """By the clock it is `time` (epoch ms) without a reading, and these windows are wrong that it has closed."""
        if self._incidents is not None:
            self._incidents.read_clock(offset, time, anomalies)
            self._take_changes()

    def end(self, offset: int, cause: Literal["clock", "rules"]) -> None:
        """Nothing is watched any more."""
        if self._incidents is not None:
            self._incidents.end(offset, cause)
            self._take_changes()

    def goes_on(self, watch: Watch, rule: Rule, version: int, offset: int) -> None:
        """The rules are others, the detector is the same."""
        if watch.incident is None:
            self.end(offset, "rules")
            self._incidents = None
        self.watch, self._version = watch, version
        self._set_policy(rule)

    def _set_policy(self, rule: Rule) -> None:
        policy, severity = self.watch.incident, self.watch.severity
        labels = json.dumps(dict(rule.labels), ensure_ascii=False)
        if self._incidents is not None and policy is not None:
            self._incidents.policy, self._incidents.severity = policy, severity
            self._incidents.labels, self._incidents.version = labels, self._version
        elif policy is not None:
            self._incidents = Incidents(policy, severity, labels, self._version)

    def _take_changes(self) -> None:
        assert self._incidents is not None
        self.changes += self._incidents.changes
        self._incidents.changes.clear()

    def _allowed(self) -> Band | None:
        """The band, which lets pass what does not matter."""
        if self._band is None:
            return None
        expected, scale, below, above, freedom = self._band
        least = self._least(expected)
        return expected, scale, max(below, least), max(above, least), freedom

    def _least(self, expected: float) -> float:
        return max(self.watch.least_absolute, self.watch.least_relative * abs(expected))

    def _is_wrong_way(self, distance: float) -> bool:
        return (distance < 0 and self.watch.direction == "high") or (distance > 0 and self.watch.direction == "low")

    def _found(
        self,
        series: str,
        time: int,
        offset: int,
        value: float,
        window: ClosedWindow | None,
        points: float,
        expected: float,
        low: float,
        high: float,
        at: int,
    ) -> Anomaly:
        anomaly = Anomaly(
            series,
            time,
            offset,
            value,
            mean=window.mean if window else 0.0,
            stddev=window.stddev if window else 0.0,
            count=window.count if window else 0,
            window_start=window.start if window else 0,
            detector=self.watch.name,
            score=points,
            expected=expected,
            low=low,
            high=high,
            found_at=at,
            rules=self._version,
        )
        self.anomalies.append(anomaly)
        return anomaly
