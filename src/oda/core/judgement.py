"""The judgement of one partition: a state machine over its log, and over the windows that closed along it.

What it keeps of a series is in `oda.core.judged`. All readings of a part of the log are compared with their bands at
once (`oda.core.bands`); then come detectors that score each reading (`oda.core.scores`), and what becomes of the
anomalies (`oda.core.incidents`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar, Literal

import numpy as np

from oda.core.bands import Detected, Now, Table, columns_of, judge
from oda.core.batch import Batch, Ended, Readings, RuleMark, Silent
from oda.core.groups.definition import Definition
from oda.core.groups.told import Member
from oda.core.incidents import Event, Tracked, advance, resolve
from oda.core.judged import Judged, begin_anew, bounds, close, forget_incident, now, restored, watched
from oda.core.kinds import Anomaly, Bounds, ClosedWindow, Incident
from oda.core.ledger import Ledger
from oda.core.machine import Machine, OvertakenError
from oda.core.rules.rule import Rule, Watch
from oda.core.scores import Read, each, scored
from oda.settings import Settings


class Judgement(Machine[Judged]):
    """What is known of the series of one partition; its ledgers are those of `anomalies`, `incidents`, `bands`, and of
    `members`: windows of series that belong to groups.

    Attributes:
        is_grouped: whether rules have named groups, ever, or may have before this partition knew any.

    Example:
        judgement = Judgement(settings)
        judgement.apply(batch)          # with what the window bolt says that closed along it
        rows = judgement.outputs(batch)["anomalies"]
    """

    name = "judgement"
    state = Judged
    ledger_rows: ClassVar = {"anomalies": Anomaly, "incidents": Incident, "bands": Bounds, "members": Member}

    def __init__(self, settings: Settings, position: int = 0) -> None:
        self._anomalies: Ledger[Anomaly] = Ledger("found_at")
        self._incidents: Ledger[Incident] = Ledger("found_at")
        self._bands: Ledger[Bounds] = Ledger("since")
        self._members: Ledger[Member] = Ledger("closed_at")
        ledgers: dict[str, Ledger[Any]] = {
            "anomalies": self._anomalies,
            "incidents": self._incidents,
            "bands": self._bands,
            "members": self._members,
        }
        super().__init__(settings, position, ledgers)
        self._table = Table()
        self._held: set[int] = set()  # offsets in a batch of readings of which nobody knows the time
        self.is_grouped = False
        self._followed: set[str] = set()  # series with an incident, or with anomalies that may become one

    def conditions(self) -> dict[str, int | float | str]:
        """What is in no record of the log: the audit could not follow a change of it, nor an incident end by one."""
        judge = self.settings.judge
        return {
            "oda.judge.sigmas": judge.sigmas,
            "oda.judge.min_count": judge.min_count,
            "oda.judge.min_stddev": judge.min_stddev,
        }

    def advance(self, batch: Batch) -> None:
        """Apply what a batch, and what closed along it, has from `position` on.

        Raises:
            OvertakenError: the window bolt has forgotten what closed there, as it was committed meanwhile: by another
                process, which has gone on with the judgement, too.
        """
        if batch.closings.since > self.position:
            raise OvertakenError(f"judged up to {self.position}, but {batch.closings.since} is committed")
        readings = batch.readings.since(self.position).without(one.offset for one in batch.closings.repeated)
        windows = [window for window in batch.closings.windows if window.closed_at >= self.position]
        ended = [end for end in batch.closings.ended if end.offset >= self.position]
        silent = [one for one in batch.closings.silent if one.offset >= self.position]
        self._held = {held.offset for held in batch.closings.held}
        # What such a record says holds behind what closes at it.
        marks: list[Ended | RuleMark] = sorted([*ended, *self.newer(batch)], key=attrgetter("offset"))
        for offset, at_once in groupby(marks, key=attrgetter("offset")):
            until = offset + 1
            closed = [window for window in windows if window.closed_at < until]
            self._judge(readings.before(until), closed, [one for one in silent if one.offset < until])
            readings = readings.since(until)
            windows = [window for window in windows if window.closed_at >= until]
            silent = [one for one in silent if one.offset >= until]
            self.position = until
            for mark in at_once:
                if isinstance(mark, Ended):
                    self._end(mark)
                else:
                    self._change_rules(mark)
        self._judge(readings, windows, silent)

    def outputs(self, batch: Batch) -> dict[str, list[Any]]:
        """See `Machine.outputs`; without `members` if there never were groups."""
        found = super().outputs(batch)
        if not self.is_grouped:
            del found["members"]
        return found

    def _judge(self, readings: Readings, windows: Sequence[ClosedWindow], silent: Sequence[Silent]) -> None:
        """A part of the log along which the rules stay, and no series ends."""
        table, version = self._table, self.rules.version
        places = table.places(readings.names)
        columns = [of_watch[:, places] for of_watch in table.columns()]
        changes, found = self._close(windows)
        newer = columns_of(changes)
        found += judge(readings, table.now, columns, changes, newer, version)
        read = self._read(readings)
        found += scored(readings, read, partial(_window_at, table.now, changes), version)
        if changes:
            table.write(changes, newer)
        for one in read:
            if one.rule.window is None:
                found += each(readings, one, version)
        self._anomalies.add([anomaly for _, anomaly in found])
        self._follow(readings, silent, found)
        if self.rules.groups:
            self._tell_groups(windows, [anomaly for _, anomaly in found])

    def _tell_groups(self, windows: Sequence[ClosedWindow], found: Sequence[Anomaly]) -> None:
        """The windows of members, and which of them are anomalous: by what was found since their first reading."""
        at: dict[str, list[int]] = {}
        for anomaly in found:
            at.setdefault(anomaly.series, []).append(anomaly.found_at)
        rows = []
        for window in windows:
            for group, definition in self.rules.memberships(window.series):
                state = self.series.get(window.series)
                times = [state.found_at if state else -1, *at.get(window.series, ())]
                is_anomalous = any(window.first_offset <= time <= window.closed_at for time in times)
                rows.append(_member(group, window, is_anomalous, definition))
        self._members.add(rows)
        for name, times in at.items():
            if self.rules.memberships(name):
                self._state(name).found_at = max(times)
                self.changed.add(name)

    def _close(self, windows: Sequence[ClosedWindow]) -> tuple[list[Now], list[Detected]]:
        """Of series whose windows closed: from which offset on what applies; and what was wrong with the windows."""
        changes: list[Now] = []
        found: list[Detected] = []
        rows: list[Bounds] = []
        rule_of = self.rules.of
        for window in windows:
            if window.closed_by == "rules":  # it was cut short, and its series begins anew
                continue
            name = window.series
            state, rule = self._state(name), rule_of(name)
            state.window = window
            if rule.follows_window:
                changes.append(Now(name, window.closed_at, rule, window, None))
            else:
                now, wrong = close(state, rule, window, self.rules.version)
                changes.append(now)
                found += wrong
                rows += bounds(now, self.rules.version)
        self._bands.add(rows)
        self.changed.update([now.series for now in changes])
        return changes, found

    def _state(self, name: str) -> Judged:
        state = self.series.get(name)
        if state is None:
            state = self.series[name] = Judged(name)
        return state

    def _read(self, readings: Readings) -> list[Read]:
        """The series of readings that detectors look at one by one."""
        if not self.rules.looks_at_each:
            return []
        rules = [self.rules.of(name) for name in readings.names]
        found = []
        for name, rule, at in zip(readings.names, rules, readings.rows(), strict=True):
            if rule.looks_at_each and len(at):
                found.append(Read(self._state(name), rule, at))
                self.changed.add(name)
        return found

    def _fill_table(self) -> None:
        """Write what applies to each series by its state."""
        found = [now(state, self.rules.of(name)) for name, state in self.series.items()]
        self._table.write(found, columns_of(found))

    # -- what becomes of anomalies

    def _follow(self, readings: Readings, silent: Sequence[Silent], found: Sequence[Detected]) -> None:
        """Advance the incidents of series that have anomalies now, or had some lately.

        What is held takes no part: an incident is a matter of time.
        """
        anomalies: dict[tuple[str, str], list[Anomaly]] = {}
        for watch, anomaly in found:
            if watch.incident is not None and anomaly.offset not in self._held:
                self._followed.add(anomaly.series)
                anomalies.setdefault((anomaly.series, watch.name), []).append(anomaly)
        if not self._followed:
            return
        codes = {name: code for code, name in enumerate(readings.names)}
        by_series: dict[str, list[Silent]] = {}
        for one in silent:
            by_series.setdefault(one.series, []).append(one)
        active = sorted(self._followed & (codes.keys() | by_series.keys()))
        rows = readings.rows() if active else []
        for name in active:
            rule, state = self.rules.of(name), self._state(name)
            at = rows[codes[name]] if name in codes else np.empty(0, np.intp)
            times = zip(readings.offsets[at].tolist(), readings.times[at].tolist(), strict=True)
            events = [(offset, time) for offset, time in times if offset not in self._held]
            for watch in rule.detectors:
                if watch.incident is not None:
                    mine = anomalies.get((name, watch.name), [])
                    self._take_on(state, rule, watch, events, mine, by_series.get(name, []))
            self.changed.add(name)
            if not state.is_followed:
                self._followed.discard(name)

    def _take_on(
        self,
        state: Judged,
        rule: Rule,
        watch: Watch,
        readings: Sequence[tuple[int, int]],
        found: Sequence[Anomaly],
        silent: Sequence[Silent],
    ) -> None:
        """Advance those of one series and watch.

        Args:
            state: of the series.
            rule: its.
            watch: one of the rule, with a policy.
            readings: of the series, by offset and time (epoch ms), in the order of the log.
            found: anomalies, by the watch.
            silent: what clock records say of the series.
        """
        kept = watched(state, watch) if found else state.watches.get(watch.name)
        if kept is None or not (found or kept.tracked):
            return
        assert watch.incident is not None
        tracked, version = kept.tracked or Tracked(), self.rules.version
        events = _events(readings, found, silent)
        self._incidents.add(advance(tracked, watch.incident, watch.severity, rule.labels_text, version, events))
        kept.tracked = tracked
        if tracked == Tracked():
            forget_incident(state, watch)

    def _end(self, mark: Ended) -> None:
        """Nothing is kept of the series any more."""
        state = self.series.pop(mark.series, None)
        if state is not None:
            self._table.forget(mark.series)
            self._followed.discard(mark.series)
            self.changed.add(mark.series)
            tracked = [kept.tracked for kept in state.watches.values() if kept.tracked is not None]
            self._resolve(tracked, mark.offset, "clock")

    def _change_rules(self, mark: RuleMark) -> None:
        rules = self.rules_of(mark)
        rows: list[Bounds] = []
        for name, state in self.series.items():
            former, rule = self.rules.of(name), rules.of(name)
            if former != rule:
                self._resolve(begin_anew(state, former, rule), mark.offset, "rules")
                rows += bounds(now(state, rule)._replace(since=mark.offset), rules.version)
                self.changed.add(name)
        self.is_grouped |= rules.may_have_had_groups(self.rules)
        self.rules = rules
        self._bands.add(rows)
        self._fill_table()
        self._followed = {name for name in self._followed if self.series[name].is_followed}

    def _resolve(self, followed: Iterable[Tracked], offset: int, cause: Literal["clock", "rules"]) -> None:
        """End what is open of what is followed no more."""
        for tracked in followed:
            self._incidents.add(resolve(tracked, offset, cause, self.rules.version))

    # -- snapshots

    def besides(self) -> dict[str, Any]:
        """Whether there are groups to be told."""
        return {"grouped": self.is_grouped}

    def derive(self, besides: Mapping[str, Any]) -> None:
        """States of the detectors' own types, what applies now, and which series are followed."""
        self.is_grouped = besides.get("grouped", False)  # a former version knew no groups
        for name, state in self.series.items():
            restored(state, self.rules.of(name))
        self._fill_table()
        self._followed = {name for name, state in self.series.items() if state.is_followed}


def _member(group: str, window: ClosedWindow, is_anomalous: bool, definition: Definition) -> Member:
    return Member(
        group,
        window.series,
        window.start,
        window.count,
        window.mean,
        window.stddev,
        window.first_offset,
        window.closed_at,
        is_anomalous,
        definition,
    )


def _window_at(before: Mapping[str, Now], changes: Sequence[Now], series: str, offset: int) -> ClosedWindow | None:
    """The newest closed window of a series as of an offset; few ask."""
    for change in reversed(changes):
        if change.series == series and change.since <= offset:
            return change.window
    return before[series].window if series in before else None


def _events(readings: Sequence[tuple[int, int]], found: Sequence[Anomaly], silent: Sequence[Silent]) -> list[Event]:
    """In the order of the log: readings, by offset and time, and clock records."""
    anomalies: dict[int, list[Anomaly]] = {}
    for anomaly in found:
        anomalies.setdefault(anomaly.found_at, []).append(anomaly)
    events = [Event(offset, time, anomalies.get(offset, ())) for offset, time in readings]
    events += [Event(one.offset, None, anomalies.get(one.offset, ()), one.time) for one in silent]
    return sorted(events, key=attrgetter("offset"))
