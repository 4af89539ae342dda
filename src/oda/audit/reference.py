"""The reference: what windows, anomalies and incidents are, in the plainest Python, one reading at a time.

It exists to be checked by eye. So it shares with the bolts only the message format, the row types and the rules as they
are parsed, and it must stay ignorant of batches, replays, snapshots and stores.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from oda.audit.message import ClockRecord
from oda.audit.open_window import OpenWindow
from oda.audit.watched import Watched
from oda.core.groups.definition import Definition
from oda.core.kinds import Anomaly, Bounds, ClosedWindow, Incident
from oda.core.reading import Reading
from oda.core.rules.match import Rules, of_options
from oda.core.rules.rule import Rule, WindowRule
from oda.settings import Settings


class _Series:
    """What is known of one series so far."""

    def __init__(self, rule: Rule, time: int, version: int) -> None:
        self.newest = time
        """Largest time seen, epoch ms."""
        self.latest_offset = -1
        self.closed_through = -(2**63)
        """Number of the newest window that can take no more readings."""
        self.open: dict[int, OpenWindow] = {}
        self.late = 0
        self.ahead = 0
        self.window: ClosedWindow | None = None
        """The newest that has closed."""
        self.watched = {watch.name: Watched(watch, rule, version) for watch in rule.detectors}
        self.derived = -1
        """Largest time of a derived reading."""
        self.found_at = -1
        """Offset of the record that brought an anomaly about last, while the series belonged to groups."""


class Member(NamedTuple):
    """A window of a series that belongs to a group; `is_anomalous` if anything was wrong since its first reading."""

    group: str
    window: ClosedWindow
    is_anomalous: bool
    definition: Definition


class Reference:
    """One partition of the log, read once from its beginning.

    Attributes:
        windows: what closed, in the order of closing.
        anomalies: what was judged to be one, in the order of the log.
        incidents: their changes.
        bands: what detectors allow that remember more than the newest window.
        members: windows of series that belong to groups.
        newest_plain: largest time of readings that no group made and that are no outliers, epoch ms; -1 if none is.

    >>> from oda.settings import Cassandra, Elasticsearch, Kafka, Window
    >>> servers = Kafka(brokers="a:1"), Cassandra(hosts="a:1"), Elasticsearch(urls="http://a:1")
    >>> names = dict(zip(("kafka", "cassandra", "elasticsearch"), servers))
    >>> reference = Reference(Settings(window=Window(size_ms=1000), **names))
    >>> for offset, (time, value) in enumerate([(0, 4.0), (500, 6.0), (1000, 9.5)]):
    ...     reference.read(offset, Reading("pump-7", time, value))
    >>> [(w.start, w.count, w.mean, w.stddev, w.closed_at) for w in reference.windows]
    [(0, 2, 5.0, 1.0, 2)]
    >>> [(a.time, a.value, a.window_start) for a in reference.anomalies]
    [(1000, 9.5, 0)]
    """

    def __init__(self, settings: Settings) -> None:
        self.windows: list[ClosedWindow] = []
        self.anomalies: list[Anomaly] = []
        self.incidents: list[Incident] = []
        self.bands: list[Bounds] = []
        self.members: list[Member] = []
        self.newest_plain = -1
        self._rules = of_options(settings)
        self._series: dict[str, _Series] = {}
        self._newest: int | None = None
        """Largest time of the partition that is no outlier, epoch ms."""
        self._held: dict[str, list[int]] = {}
        """By series, the times of its newest readings, one after the other, that were outliers."""

    @property
    def is_open(self) -> bool:
        """Whether a window has not closed."""
        return any(series.open for series in self._series.values())

    def forget(self) -> None:
        """What was found so far; what follows is found as if it were still there."""
        self.windows, self.anomalies, self.incidents, self.bands, self.members = [], [], [], [], []

    @property
    def version(self) -> int:
        """Of the rules."""
        return self._rules.version

    def read(self, offset: int, reading: Reading) -> None:
        """Apply the reading at `offset`; offsets ascend."""
        name, time, value = reading
        rule = self._rules.of(name)
        is_new = name not in self._series
        if is_new:
            self._series[name] = _Series(rule, time, self.version)
        series = self._series[name]
        if name.startswith("group:"):
            if time <= series.derived:  # it was there before
                return
            series.derived = time
        series.latest_offset = offset
        already = len(self.windows), len(self.anomalies)

        found: dict[str, list[Anomaly]] = {}
        is_held = False
        if self._is_outlier(name, time, rule.lead_ms):
            series.ahead += 1
            if is_new:
                series.newest = -1  # it says nothing
            is_held = True
        elif rule.window is not None:
            found = self._to_windows(name, series, rule.window, offset, time, value)

        for watched in series.watched.values():
            anomaly = watched.judge(name, time, offset, value, series.window)
            if anomaly is not None:
                found.setdefault(watched.watch.name, []).append(anomaly)
        if rule.window is None:
            alone = ClosedWindow(name, time, time, 1, value, 0.0, offset, offset, offset, "data", 0)
            for watched in series.watched.values():
                watched.learn(alone)
        if not is_held:  # an incident is a matter of time
            for watched in series.watched.values():
                watched.follow(offset, time, found.get(watched.watch.name, []))
            if not name.startswith("group:"):
                self.newest_plain = max(self.newest_plain, time)
        self._collect(series)
        self._tell_groups(*already)

    def read_clock(self, offset: int, record: ClockRecord) -> None:
        """Apply the clock record at `offset`; offsets ascend, those of readings included.

        For each series it closes the windows up to the one that starts at the given time, unless the series has had
        a reading at or behind the record's position. A series that ends so is as if it had never been, unless it has
        such a reading, or an open window.
        """
        already = len(self.windows), len(self.anomalies)
        for name, start in record.through.items():
            series = self._series.get(name)
            window = self._rules.of(name).window
            if series is None or series.latest_offset >= record.position or window is None:
                continue
            due = [number for number in series.open if number <= start // window.size_ms]
            found = self._close(name, series, window, max(due), offset, "clock") if due else {}
            for watched in series.watched.values():
                watched.fell_silent(offset, start + window.size_ms, found.get(watched.watch.name, []))
            self._collect(series)
        self._tell_groups(*already)
        for name in record.ended:
            series = self._series.get(name)
            if series is not None and series.latest_offset < record.position and not series.open and series.derived < 0:
                for watched in series.watched.values():
                    watched.end(offset, "clock")
                self._collect(series)
                del self._series[name]
                self._held.pop(name, None)

    def read_rules(self, offset: int, rules: Rules) -> None:
        """Apply the rule record at `offset`: a newer version holds from there on, an older one says nothing."""
        if rules.version <= self._rules.version:
            return
        already = len(self.windows), len(self.anomalies)
        for name, series in self._series.items():
            former, rule = self._rules.of(name), rules.of(name)
            if former.cut != rule.cut:
                if former.window is not None:
                    self._close(name, series, former.window, 2**63, offset, "rules")
                for watched in series.watched.values():
                    watched.end(offset, "rules")
                self._collect(series)
                series.newest = series.closed_through = -(2**63)
                series.late = series.ahead = 0
                series.window = None
                series.watched = {watch.name: Watched(watch, rule, rules.version) for watch in rule.detectors}
            else:
                self._change_watches(series, rule, rules.version, offset, former != rule)
        self._tell_groups(*already)
        self._rules = rules

    def _tell_groups(self, windows: int, anomalies: int) -> None:
        """Of what a record brought about, behind so many windows and anomalies."""
        if not self._rules.groups:
            return
        for anomaly in self.anomalies[anomalies:]:
            if self._groups_of(anomaly.series):
                self._series[anomaly.series].found_at = anomaly.found_at
        for window in self.windows[windows:]:
            is_anomalous = self._series[window.series].found_at >= window.first_offset
            self.members += [
                Member(group, window, is_anomalous, definition)
                for group, definition in self._groups_of(window.series).items()
            ]

    def _groups_of(self, series: str) -> dict[str, Definition]:
        """The groups of a series, each with what its members carry of it."""
        found: dict[str, Definition] = {}
        for naming, definition, _ in self._rules.groups:
            group = naming.group(series)
            if group is not None and group not in found:
                found[group] = definition
        return found

    def _change_watches(self, series: _Series, rule: Rule, version: int, offset: int, is_other: bool) -> None:
        """The series' windows go on, and so do detectors that stay what they are; `is_other`: the rule, in whatever."""
        before, series.watched = series.watched, {}
        for watch in rule.detectors:
            watched = before.get(watch.name)
            if watched is not None and watched.watch.detector == watch.detector:
                del before[watch.name]
                watched.goes_on(watch, rule, version, offset)
                self._collect_of(watched)
            else:
                watched = Watched(watch, rule, version)
                if series.window is not None:
                    watched.begin_with(series.window)
            if series.window is not None and is_other:
                watched.tell(series.window, offset)
                self._collect_of(watched)
            series.watched[watch.name] = watched
        for watched in before.values():
            watched.end(offset, "rules")
            self._collect_of(watched)

    def _is_outlier(self, name: str, time: int, lead: int | None) -> bool:
        """Whether a reading is so far ahead of the partition that it says nothing of the time."""
        if self._newest is None:
            self._newest = time
        if lead is not None and time > self._newest + lead:
            near = [other for other in self._held.get(name, []) if abs(time - other) <= lead]
            if len(near) < 2:
                self._held[name] = [*near, time]
                return True
        self._held.pop(name, None)
        self._newest = max(self._newest, time)
        return False

    def _to_windows(
        self, name: str, series: _Series, window: WindowRule, offset: int, time: int, value: float
    ) -> dict[str, list[Anomaly]]:
        """What is wrong with windows that closed so, by watch."""
        found: dict[str, list[Anomaly]] = {}
        series.newest = max(series.newest, time)
        over = (series.newest - window.lateness_ms) // window.size_ms - 1
        if over > series.closed_through:
            found = self._close(name, series, window, over, offset, "data")

        number = time // window.size_ms
        if number <= series.closed_through:
            series.late += 1
        else:
            if number not in series.open:
                series.open[number] = OpenWindow(offset, value)
            series.open[number].add(offset, value)
        return found

    def _close(
        self,
        name: str,
        series: _Series,
        rule: WindowRule,
        through: int,
        at: int,
        cause: Literal["data", "clock", "rules"],
    ) -> dict[str, list[Anomaly]]:
        found: dict[str, list[Anomaly]] = {}
        for number in sorted(number for number in series.open if number <= through):
            start = number * rule.size_ms
            window = series.open.pop(number).closed(
                name, start, start + rule.size_ms, at, cause, series.late, series.ahead, self.version
            )
            self.windows.append(window)
            if cause == "rules":
                continue
            series.window = window
            for watched in series.watched.values():
                anomaly = watched.learn(window)
                watched.tell(window, at)
                if anomaly is not None:
                    found.setdefault(watched.watch.name, []).append(anomaly)
        series.closed_through = through
        return found

    def _collect(self, series: _Series) -> None:
        for watched in series.watched.values():
            self._collect_of(watched)

    def _collect_of(self, watched: Watched) -> None:
        self.anomalies += watched.anomalies
        self.incidents += watched.changes
        self.bands += watched.bounds
        watched.anomalies.clear()
        watched.bounds.clear()
        watched.changes.clear()
