"""The windows of one partition: a state machine over its log (see `oda.core.machine`).

Semantics (docs/semantics.md): event-time tumbling windows, `n = time // size`; a series' watermark
is its largest time minus the lateness; window n closes when the watermark reaches its end, or by
a clock record when the series has been silent. Closing comes before judging: the record that closes
a window is judged against it.

Statistics are shifted sums in log order: with K the window's first value, `d = value - K`,
`mean = K + sum(d) / n`, `variance = (sum(d*d) - sum(d)**2 / n) / n`. Since K is one of the values,
the condition number is at most n (Chan, Golub, LeVeque, "Algorithms for computing the sample
variance", 1983). Plain sequential sums do not depend on how the log was cut into batches, so the
results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Batch, ClockMark, Ended, Readings
from oda.core.kinds import ClosedWindow
from oda.core.ledger import Ledger
from oda.core.machine import Machine
from oda.settings import Window

_TIME_BITS = 43  # core.reading.MAX_TIME: a segment number and a time share an int64
_TIME_MASK = 2**_TIME_BITS - 1


class OpenWindow(msgspec.Struct, array_like=True, gc=False):
    """Sums of a window that has not closed: of `value - shift`, where `shift` is the first value."""

    first_offset: int
    shift: float
    last_offset: int = -1
    count: int = 0
    total: float = 0.0
    squares: float = 0.0


class Series(msgspec.Struct, array_like=True):
    """What is kept of one series.

    `max_time` in epoch ms; `last_offset` is that of its last reading, late or not; `closed_through` is the number of
    the last window that has closed, whether it held readings or not.
    """

    name: str
    max_time: int = -1
    last_offset: int = -1
    closed_through: int = -1
    late: int = 0
    open: dict[int, OpenWindow] = {}


class PartitionWindows(Machine[Series]):
    """Open windows of one partition; its ledgers are those of `closed` windows and of series that `ended`.

    Attributes:
        open: the series that have open windows.

    Example:
        windows = PartitionWindows(settings.window)
        windows.apply(batch)            # once or twice, it is the same
        rows = windows.outputs(batch)["closed"]
    """

    name = "windows"
    state = Series
    ledger_rows: ClassVar = {"closed": ClosedWindow, "ended": Ended}

    def __init__(self, settings: Window, position: int = 0) -> None:
        self._closed: Ledger[ClosedWindow] = Ledger("closed_at")
        self._ended: Ledger[Ended] = Ledger("offset")
        super().__init__(position, {"closed": self._closed, "ended": self._ended})
        self.settings = settings
        self.open: set[str] = set()

    def conditions(self) -> dict[str, int | float | str]:
        """What windows of another size, or with another lateness, can't go on from."""
        return {"oda.window.size_ms": self.settings.size_ms, "oda.window.lateness_ms": self.settings.lateness_ms}

    # -- applying ------------------------------------------------------------------------------

    def advance(self, batch: Batch) -> None:
        """Apply what a batch has from `position` on."""
        readings = batch.readings.since(self.position)
        for mark in batch.marks:
            if mark.offset >= self.position:
                self._apply_readings(readings.before(mark.offset))
                self._apply_mark(mark)
                readings = readings.since(mark.offset)
        self._apply_readings(readings)

    def _apply_readings(self, readings: Readings) -> None:
        if not len(readings.offsets):
            return
        size, lateness = self.settings.size_ms, self.settings.lateness_ms
        # Series by series, each in log order: a segment per series, numbered by `segment`.
        order = np.argsort(readings.series, kind="stable")
        codes = readings.series[order]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        ends = np.r_[starts[1:], len(codes)]
        states = [self._state(readings.names[code]) for code in codes[starts]]
        segment = np.repeat(np.arange(len(states)), ends - starts)
        times, values, offsets = readings.times[order], readings.values[order], readings.offsets[order]

        # Largest time so far, per series: the segment number in the high bits starts each afresh.
        keys = (segment << _TIME_BITS) + times
        keys[starts] = np.maximum(keys[starts], (np.arange(len(states)) << _TIME_BITS) + _column(states, "max_time"))
        keys = np.maximum.accumulate(keys)
        watermarks = (keys & _TIME_MASK) - lateness
        closed_through = np.maximum(watermarks // size - 1, _column(states, "closed_through")[segment])
        windows = times // size
        late = windows <= closed_through
        late_so_far = np.cumsum(late)

        self.changed.update(state.name for state in states)
        self._add(states, segment[~late], windows[~late], values[~late], offsets[~late])

        lasts = ends - 1
        late_before = late_so_far[starts] - late[starts]
        through = closed_through[lasts].tolist()
        opened = enumerate(zip(states, through, strict=True))
        due = [(number, n) for number, (state, last) in opened for n in state.open if n <= last]
        if due:
            due.sort()
            numbers, ns = np.array(due).T
            at = np.searchsorted(keys, (numbers << _TIME_BITS) + (ns + 1) * size + lateness)
            lateness_counts = (late_so_far[at] - late_before[numbers]).tolist()
            self._closed.add(
                self._close(states[number], n, closed_at, "data", states[number].late + count)
                for (number, n), closed_at, count in zip(due, offsets[at].tolist(), lateness_counts, strict=True)
            )

        # As lists: one by one, NumPy's numbers cost more than all the rest.
        newest, lates = (keys[lasts] & _TIME_MASK).tolist(), (late_so_far[lasts] - late_before).tolist()
        for state, *values_of in zip(states, newest, through, lates, offsets[lasts].tolist(), strict=True):
            state.max_time, state.closed_through, late_count, state.last_offset = values_of
            state.late += late_count

    def _state(self, name: str) -> Series:
        state = self.series.get(name)
        if state is None:
            state = self.series[name] = Series(name)
        return state

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
        opened = []
        for key, value, offset in zip(keys.tolist(), values[firsts].tolist(), offsets[firsts].tolist(), strict=True):
            windows_of = states[key >> _TIME_BITS].open
            window = windows_of.get(key & _TIME_MASK)
            if window is None:
                self.open.add(states[key >> _TIME_BITS].name)
                window = windows_of[key & _TIME_MASK] = OpenWindow(offset, value)
            opened.append(window)
        delta = values - np.array([window.shift for window in opened])[group]
        last = np.empty(len(keys), np.int64)
        last[group] = offsets  # of equal indexes, the last assignment stays
        counts = np.bincount(group, minlength=len(keys))
        totals = _sums([window.total for window in opened], group, delta)
        squares = _sums([window.squares for window in opened], group, delta * delta)
        rows = zip(opened, last.tolist(), counts.tolist(), totals.tolist(), squares.tolist(), strict=True)
        for window, last_offset, count, total, square in rows:
            window.last_offset = last_offset
            window.count += count
            window.total = total
            window.squares = square

    def _apply_mark(self, mark: ClockMark) -> None:
        for name, start in mark.through.items():
            state = self._silent(name, mark)
            if state is None:
                continue
            due = sorted(n for n in state.open if n <= start // self.settings.size_ms)
            if due:
                self._closed.add([self._close(state, n, mark.offset, "clock", state.late) for n in due])
                state.closed_through = max(state.closed_through, due[-1])
        for name in mark.ended:
            state = self._silent(name, mark)
            if state and not state.open:
                del self.series[name]
                self._ended.add([Ended(mark.offset, name)])

    def _silent(self, name: str, mark: ClockMark) -> Series | None:
        """The state of a series that is, and that whoever wrote the mark had heard all of."""
        state = self.series.get(name)
        if state is None or state.last_offset >= mark.position:
            return None
        self.changed.add(name)
        return state

    def _close(self, state: Series, n: int, closed_at: int, cause: Literal["data", "clock"], late: int) -> ClosedWindow:
        size = self.settings.size_ms
        row = _closed(state.name, n * size, size, state.open.pop(n), closed_at, cause, late)
        if not state.open:
            self.open.discard(state.name)
        return row

    def restore(self, position: int, forgotten: int, series: Iterable[Series], rows: Mapping[str, list[Any]]) -> None:
        """Take over the state of a snapshot."""
        super().restore(position, forgotten, series, rows)
        self.open = {name for name, state in self.series.items() if state.open}


def _column(states: list[Series], name: str) -> NDArray[np.int64]:
    return np.array([getattr(state, name) for state in states], np.int64)


def _sums(so_far: list[float], group: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`so_far[g] += values[i]` for each i with `group[i] == g`, in order, one at a time.

    np.bincount adds sequentially; np.add.reduceat and np.sum add pairwise, in another order.
    """
    sums = np.bincount(np.r_[np.arange(len(so_far)), group], np.r_[so_far, values], len(so_far))
    return sums.astype(np.float64, copy=False)


def _closed(
    name: str, start: int, size: int, window: OpenWindow, closed_at: int, cause: Literal["data", "clock"], late: int
) -> ClosedWindow:
    count, total = window.count, window.total
    variance = max(0.0, (window.squares - total * total / count) / count)
    return ClosedWindow(
        name,
        start,
        start + size,
        count,
        window.shift + total / count,
        sqrt(variance),
        window.first_offset,
        window.last_offset,
        closed_at,
        cause,
        late,
    )
