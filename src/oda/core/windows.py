"""The windows of one partition: a state machine over its log (see `oda.core.machine`).

Semantics (docs/semantics.md): event-time tumbling windows, `n = time // size`; a series' watermark is its largest time
minus the lateness; window n closes when the watermark reaches its end, or by a clock record when the series has been
silent, or by a change of rules that cut others. Closing comes before judging: the record that closes a window is judged
against it. A reading that is too far ahead of its partition is held (see `oda.core.lead`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.aggregate import Sums, fold
from oda.core.batch import Batch, ClockMark, Ended, Held, Readings, Repeated, RuleMark, Silent
from oda.core.groups.definition import is_group
from oda.core.kinds import ClosedWindow
from oda.core.lead import Lead
from oda.core.ledger import Ledger
from oda.core.machine import Machine
from oda.core.rules.rule import WindowRule
from oda.settings import Settings

_TIME_BITS = 43  # core.reading.MAX_TIME: a segment number and a time share an int64
_TIME_MASK = 2**_TIME_BITS - 1

Cause = Literal["data", "clock", "rules"]


class Series(msgspec.Struct, array_like=True):
    """What is kept of one series.

    `max_time` in epoch ms; `last_offset` is that of its last reading, late or not; `closed_through` is the number of
    the last window that has closed, whether it held readings or not; `late` and `ahead` count readings that are in no
    window. `derived` is the largest time of a derived reading: such a series never ends, or one could be there twice.
    """

    name: str
    max_time: int = -1
    last_offset: int = -1
    closed_through: int = -1
    late: int = 0
    ahead: int = 0
    open: dict[int, Sums] = {}
    derived: int = -1


class PartitionWindows(Machine[Series]):
    """Open windows of one partition; its ledgers are those of `closed` windows, series that `ended`, readings `held`,
    `silent` series, and readings that are `repeated`.

    Attributes:
        open: the series that have open windows.
        is_grouped: whether rules have named groups, ever, or may have before this partition knew any.

    Example:
        windows = PartitionWindows(settings)
        windows.apply(batch)            # once or twice, it is the same
        rows = windows.outputs(batch)["closed"]
    """

    name = "windows"
    state = Series
    ledger_rows: ClassVar = {
        "closed": ClosedWindow,
        "ended": Ended,
        "held": Held,
        "silent": Silent,
        "repeated": Repeated,
    }

    def __init__(self, settings: Settings, position: int = 0) -> None:
        self._closed: Ledger[ClosedWindow] = Ledger("closed_at")
        self._ended: Ledger[Ended] = Ledger("offset")
        self._held: Ledger[Held] = Ledger("offset")
        self._quiet: Ledger[Silent] = Ledger("offset")
        ledgers: dict[str, Ledger[Any]] = {"closed": self._closed, "ended": self._ended}
        self._repeated: Ledger[Repeated] = Ledger("offset")
        ledgers |= {"held": self._held, "silent": self._quiet, "repeated": self._repeated}
        super().__init__(settings, position, ledgers)
        self.open: set[str] = set()
        self.is_grouped = False
        self._lead = Lead()

    @property
    def is_quiet(self) -> bool:
        """Whether no window is open, but perhaps of groups."""
        return all(map(is_group, self.open))

    def conditions(self) -> dict[str, int | float | str]:
        """What windows of another size, or with another lateness, can't go on from."""
        window = self.settings.window
        return {"oda.window.size_ms": window.size_ms, "oda.window.lateness_ms": window.lateness_ms}

    def window_of(self, series: str) -> WindowRule:
        """The rule for the windows of a series that has some."""
        rule = self.rules.of(series).window
        assert rule is not None
        return rule

    # -- applying ------------------------------------------------------------------------------

    def advance(self, batch: Batch) -> None:
        """Apply what a batch has from `position` on."""
        readings = self._without_repetitions(batch.readings.since(self.position))
        marks: list[ClockMark | RuleMark] = [mark for mark in batch.marks if mark.offset >= self.position]
        marks += self.newer(batch)
        for mark in sorted(marks, key=attrgetter("offset")):
            self._apply_readings(readings.before(mark.offset))
            readings = readings.since(mark.offset)
            if isinstance(mark, ClockMark):
                self._apply_clock(mark)
            else:
                self._apply_rules(mark)
        self._apply_readings(readings)

    def _without_repetitions(self, readings: Readings) -> Readings:
        """A derived reading counts if its time is beyond those of all that came before of its series."""
        groups = {code: name for code, name in enumerate(readings.names) if is_group(name)}
        repeated = []
        for at in np.flatnonzero(np.isin(readings.series, list(groups))) if groups else ():
            name, time, offset = groups[readings.series[at]], int(readings.times[at]), int(readings.offsets[at])
            state = self._state(name)
            if time <= state.derived:
                repeated.append(offset)
            else:
                state.derived = time
                self.changed.add(name)
        self._repeated.add([Repeated(offset) for offset in repeated])
        return readings.without(repeated)

    def _apply_readings(self, readings: Readings) -> None:
        """Note whose they are; those that are neither ahead nor windows of their own go to their windows."""
        if not len(readings.offsets):
            return
        last = np.full(len(readings.names), -1)
        last[readings.series] = readings.offsets  # of equal indexes, the last assignment stays
        rules = [self.rules.of(name) for name in readings.names]
        for name, offset in zip(readings.names, last.tolist(), strict=True):
            if offset >= 0:
                self._state(name).last_offset = offset
                self.changed.add(name)
        held = self._lead.outliers(readings, [rule.lead_ms for rule in rules])
        windows = [rule.window for rule in rules]
        ahead: dict[str, list[int]] = {}
        for at in held:
            ahead.setdefault(readings.names[readings.series[at]], []).append(int(readings.offsets[at]))
        if held or None in windows:
            self._held.add([Held(int(readings.offsets[at])) for at in held])
            to_windows = np.array([window is not None for window in windows])[readings.series]
            to_windows[held] = False
            readings = readings.where(to_windows)
        self._apply_to_windows(readings, windows, ahead)
        for name, offsets in ahead.items():
            self.series[name].ahead += len(offsets)

    def _state(self, name: str) -> Series:
        state = self.series.get(name)
        if state is None:
            state = self.series[name] = Series(name)
        return state

    def _apply_to_windows(
        self, readings: Readings, rules: Sequence[WindowRule | None], ahead: Mapping[str, list[int]]
    ) -> None:
        """Add readings to their windows, and close those that are over.

        Args:
            readings: none of a series without windows.
            rules: by name.
            ahead: by series, the offsets of other readings, which are held as outliers of time.
        """
        if not len(readings.offsets):
            return
        # Series by series, each in log order: a segment per series, numbered by `segment`.
        order = np.argsort(readings.series, kind="stable")
        codes = readings.series[order]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        ends = np.r_[starts[1:], len(codes)]
        states = [self.series[readings.names[code]] for code in codes[starts]]
        segment = np.repeat(np.arange(len(states)), ends - starts)
        times, values, offsets = readings.times[order], readings.values[order], readings.offsets[order]
        of_states = [rule for rule in map(rules.__getitem__, codes[starts].tolist()) if rule is not None]
        sizes = np.array([rule.size_ms for rule in of_states])
        latenesses = np.array([rule.lateness_ms for rule in of_states])

        # Largest time so far, per series: the segment number in the high bits starts each afresh.
        keys = (segment << _TIME_BITS) + times
        keys[starts] = np.maximum(keys[starts], (np.arange(len(states)) << _TIME_BITS) + _column(states, "max_time"))
        keys = np.maximum.accumulate(keys)
        size = _by_reading(sizes, segment)
        watermarks = (keys & _TIME_MASK) - _by_reading(latenesses, segment)
        closed_through = np.maximum(watermarks // size - 1, _column(states, "closed_through")[segment])
        windows = times // size
        late = windows <= closed_through
        late_so_far = np.cumsum(late)

        self._add(states, segment[~late], windows[~late], values[~late], offsets[~late])

        lasts = ends - 1
        late_before = late_so_far[starts] - late[starts]
        through = closed_through[lasts].tolist()
        opened = enumerate(zip(states, through, strict=True))
        over = [(number << _TIME_BITS) + n for number, (state, last) in opened for n in state.open if n <= last]
        if over:
            due = np.sort(np.array(over))
            numbers, ns = due >> _TIME_BITS, due & _TIME_MASK
            at = np.searchsorted(keys, (numbers << _TIME_BITS) + (ns + 1) * sizes[numbers] + latenesses[numbers])
            late_counts = (late_so_far[at] - late_before[numbers]).tolist()
            rows = []
            columns = (numbers.tolist(), ns.tolist(), offsets[at].tolist(), late_counts)
            for number, n, closed_at, late_count in zip(*columns, strict=True):
                state = states[number]
                ahead_count = sum(offset < closed_at for offset in ahead.get(state.name, ())) if ahead else 0
                rows.append(
                    self._close(state, n, of_states[number].size_ms, closed_at, "data", late_count, ahead_count)
                )
            self._closed.add(rows)

        # As lists: one by one, NumPy's numbers cost more than all the rest.
        newest, lates = (keys[lasts] & _TIME_MASK).tolist(), (late_so_far[lasts] - late_before).tolist()
        for state, *values_of in zip(states, newest, through, lates, strict=True):
            state.max_time, state.closed_through, late_count = values_of
            state.late += late_count

    def _add(
        self,
        states: list[Series],
        segment: NDArray[np.int64],
        windows: NDArray[np.int64],
        values: NDArray[np.float64],
        offsets: NDArray[np.int64],
    ) -> None:
        """Add readings to their open windows, in the order of the log within each window."""
        keys, firsts, group = np.unique((segment << _TIME_BITS) + windows, return_index=True, return_inverse=True)
        if not len(keys):
            return
        sums = []
        for key, value, offset in zip(keys.tolist(), values[firsts].tolist(), offsets[firsts].tolist(), strict=True):
            windows_of = states[key >> _TIME_BITS].open
            window = windows_of.get(key & _TIME_MASK)
            if window is None:
                self.open.add(states[key >> _TIME_BITS].name)
                window = windows_of[key & _TIME_MASK] = Sums(offset, value)
            sums.append(window)
        fold(sums, group, values, offsets)

    def _apply_clock(self, mark: ClockMark) -> None:
        for name, start in mark.through.items():
            state, rule = self._silent(name, mark), self.rules.of(name)
            if state is None or rule.window is None:
                continue
            size = rule.window.size_ms
            if rule.quiets:
                self._quiet.add([Silent(mark.offset, name, start + size)])
            if state.open:
                last = start // size
                due = sorted(n for n in state.open if n <= last)
                self._closed.add([self._close(state, n, size, mark.offset, "clock") for n in due])
                state.closed_through = max([state.closed_through, *due])
        for name in mark.ended:
            state = self._silent(name, mark)
            if state and not state.open and state.derived < 0:
                del self.series[name]
                self._lead.held.pop(name, None)
                self._ended.add([Ended(mark.offset, name)])

    def _silent(self, name: str, mark: ClockMark) -> Series | None:
        """The state of a series that is, and that whoever wrote the mark had heard all of."""
        state = self.series.get(name)
        if state is None or state.last_offset >= mark.position:
            return None
        self.changed.add(name)
        return state

    def _apply_rules(self, mark: RuleMark) -> None:
        """From here on other rules hold: a series whose windows they cut otherwise closes them, and begins anew."""
        rules = self.rules_of(mark)
        for name, state in list(self.series.items()):
            if self.rules.of(name).cut != rules.of(name).cut:
                rows = [
                    self._close(state, n, self.window_of(name).size_ms, mark.offset, "rules")
                    for n in sorted(state.open)
                ]
                self._closed.add(rows)
                self.series[name] = Series(name, last_offset=state.last_offset, derived=state.derived)
                self.changed.add(name)
        self.is_grouped |= rules.may_have_had_groups(self.rules)
        self.rules = rules

    def _close(
        self, state: Series, n: int, size: int, closed_at: int, cause: Cause, late: int = 0, ahead: int = 0
    ) -> ClosedWindow:
        """The row of an open window, which is none any more; `late` and `ahead` are to be added to what is counted."""
        sums = state.open.pop(n)
        if not state.open:
            self.open.discard(state.name)
        return ClosedWindow(
            state.name,
            n * size,
            (n + 1) * size,
            sums.count,
            sums.mean(),
            sums.stddev(),
            sums.first_offset,
            sums.last_offset,
            closed_at,
            cause,
            state.late + late,
            state.ahead + ahead,
            self.rules.version,
        )

    # -- snapshots -----------------------------------------------------------------------------

    def besides(self) -> dict[str, Any]:
        """The newest time of the partition, and those that are held."""
        return {"newest": self._lead.newest, "held": self._lead.held, "grouped": self.is_grouped}

    def derive(self, besides: Mapping[str, Any]) -> None:
        """Which series have open windows, and what is known of the partition's time."""
        self.open = {name for name, state in self.series.items() if state.open}
        self.is_grouped = besides.get("grouped", False)  # a former version knew no groups
        self._lead.newest, self._lead.held = besides["newest"], dict(besides["held"])


def _by_reading(of_series: NDArray[np.int64], segment: NDArray[np.intp]) -> NDArray[np.int64] | int:
    """One number if it is the same for all: what is computed with one is several times faster."""
    return int(of_series[0]) if (of_series == of_series[0]).all() else of_series[segment]


def _column(states: list[Series], name: str) -> NDArray[np.int64]:
    return np.array([getattr(state, name) for state in states], np.int64)
