"""The windows of one partition: a state machine over its log.

`PartitionWindows` applies batches in log order and answers, for any batch that it has applied and
that may still be replayed, what that batch put out. Both first pass and replay take the outputs
from the ledger, so that they can't differ. It knows nothing of Storm, of Kafka or of the stores.

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

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from math import sqrt
from operator import attrgetter, itemgetter
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.baselines import Baselines
from oda.core.batch import Batch, ClockMark, Readings
from oda.core.kinds import ClosedWindow
from oda.settings import Window

_TIME_BITS = 43  # core.reading.MAX_TIME: a segment number and a time share an int64
_TIME_MASK = 2**_TIME_BITS - 1

_closed_at = attrgetter("closed_at")


_NONE = ClosedWindow("", 2**_TIME_BITS, 2**_TIME_BITS, 0, 0.0, 0.0, -1, -1, -1, "clock", 0)
"""In place of a baseline where a series has none any more: no reading is judged by a window of no readings."""


class OpenWindow(msgspec.Struct, array_like=True, gc=False):
    """Sums of a window that has not closed: of `value - shift`, where `shift` is the first value."""

    first_offset: int
    shift: float
    last_offset: int = -1
    count: int = 0
    total: float = 0.0
    squares: float = 0.0


class Series(msgspec.Struct, array_like=True):
    """What is kept of one series; `closed` is its part of the ledger, oldest first, `ends` the offsets where it ended.

    `max_time` in epoch ms; `last_offset` is that of its last reading, late or not, -1 if there was none since the
    series ended; `closed_through` is the number of the last window that has closed, whether it held readings or not.
    """

    name: str
    max_time: int = -1
    last_offset: int = -1
    closed_through: int = -1
    late: int = 0
    open: dict[int, OpenWindow] = {}
    closed: list[ClosedWindow] = []
    ends: list[int] = []


class Gap(Exception):  # noqa: N818 - a condition, not a fault
    """The batch starts beyond the applied position: a replay must fill the gap first."""


class PartitionWindows:
    """Applied position, open windows and ledger of one partition.

    Attributes:
        position: every record before this offset has been applied.
        forgotten: what was put out before this offset has been acknowledged and is not known any more.
        series: what is known of each, by name.
        open: those that have open windows.

    Example:
        windows = PartitionWindows(settings.window)
        windows.apply(batch)            # once or twice, it is the same
        rows = windows.closed_by(batch)
        baselines = windows.baselines(batch)
    """

    def __init__(self, rules: Window, position: int = 0) -> None:
        self.rules = rules
        self.position = self.forgotten = position
        self.series: dict[str, Series] = {}
        self.open: set[str] = set()
        self._ledger: list[ClosedWindow] = []  # all series, by closed_at
        self._ended: list[tuple[int, str]] = []  # at which offset, ascending; known until a replay can't ask for it
        self._changed: set[str] = set()  # that are, or were, in `series`, since the newest snapshot

    # -- applying ------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> None:
        """Advance to the end of a batch; what was applied already is skipped.

        Raises:
            Gap: the batch starts beyond `position`.
        """
        if batch.start > self.position:
            raise Gap(f"batch starts at {batch.start}, applied up to {self.position}")
        if batch.end > self.position:
            readings = batch.readings.since(self.position)
            for mark in batch.marks:
                if mark.offset >= self.position:
                    self._apply_readings(readings.before(mark.offset))
                    self._apply_mark(mark)
                    readings = readings.since(mark.offset)
            self._apply_readings(readings)
            self.position = batch.end
        self._prune(batch.committed)

    def _apply_readings(self, readings: Readings) -> None:
        if not len(readings.offsets):
            return
        size, lateness = self.rules.size_ms, self.rules.lateness_ms
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

        self._changed.update(state.name for state in states)
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
            newly_closed = [
                self._close(states[number], n, closed_at, "data", states[number].late + count)
                for (number, n), closed_at, count in zip(due, offsets[at].tolist(), lateness_counts, strict=True)
            ]
            newly_closed.sort(key=_closed_at)
            self._ledger += newly_closed

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
            for n in sorted(n for n in state.open if n <= start // self.rules.size_ms):
                self._ledger.append(self._close(state, n, mark.offset, "clock", state.late))
                state.closed_through = max(state.closed_through, n)
        for name in mark.ended:
            state = self._silent(name, mark)
            if state and not state.open:
                self.series[name] = Series(name, closed=state.closed, ends=[*state.ends, mark.offset])
                self._ended.append((mark.offset, name))

    def _silent(self, name: str, mark: ClockMark) -> Series | None:
        """The state of a series that is, and that whoever wrote the mark had heard all of."""
        state = self.series.get(name)
        if state is None or not 0 <= state.last_offset < mark.position:
            return None
        self._changed.add(name)
        return state

    def _close(self, state: Series, n: int, closed_at: int, cause: Literal["data", "clock"], late: int) -> ClosedWindow:
        row = _closed(state.name, n * self.rules.size_ms, self.rules.size_ms, state.open.pop(n), closed_at, cause, late)
        state.closed.append(row)
        if not state.open:
            self.open.discard(state.name)
        return row

    # -- outputs -------------------------------------------------------------------------------

    def closed_by(self, batch: Batch) -> list[ClosedWindow]:
        """The windows that closed from the start of an applied batch to its end, now or long ago."""
        first = bisect_left(self._ledger, batch.start, key=_closed_at)
        last = bisect_left(self._ledger, batch.end, key=_closed_at)
        return self._ledger[first:last]

    def baselines(self, batch: Batch) -> Baselines:
        """The baselines that apply to the readings of an applied batch.

        None to those before `forgotten`: the stores have their anomalies. Such a batch comes when
        somebody has set the committed offset back.
        """
        start = max(batch.start, self.forgotten)
        rows: list[tuple[int, int, ClosedWindow]] = []
        for index, name in enumerate(batch.readings.names):
            for since, row in _newest_first(self.series.get(name), batch.end):
                rows.append((index, max(since, start), row))
                if since <= start:
                    break
        return Baselines.of(rows)

    def _prune(self, committed: int) -> None:
        """Forget what no replay can ask for; a series' baseline as of `committed` stays."""
        self.forgotten = max(self.forgotten, committed)
        passed = bisect_left(self._ledger, committed, key=_closed_at)
        for row in self._ledger[:passed]:
            closed = self.series[row.series].closed
            # One record may close several windows: those that the record at `committed` closes are put out again.
            while len(closed) > 1 and closed[0].closed_at < committed and closed[1].closed_at <= committed:
                del closed[0]
        del self._ledger[:passed]
        ended = bisect_left(self._ended, committed, key=itemgetter(0))
        for offset, name in self._ended[:ended]:
            self._forget(offset, name)
        del self._ended[:ended]

    def _forget(self, offset: int, name: str) -> None:
        """A series ended there, and no replay can ask for what was before."""
        state = self.series[name]
        self._changed.add(name)
        state.closed = [row for row in state.closed if row.closed_at > offset]
        state.ends = [end for end in state.ends if end > offset]
        if state.last_offset < 0 and not state.closed:
            del self.series[name]

    # -- snapshots -----------------------------------------------------------------------------

    def take_changes(self) -> tuple[list[Series], list[str]]:
        """The series that have changed since this was asked the last time, and the names of those that are gone."""
        changed, self._changed = self._changed, set()
        return [self.series[name] for name in changed if name in self.series], list(changed - self.series.keys())

    def restore(self, position: int, forgotten: int, series: Iterable[Series]) -> None:
        """Take over the state of a snapshot."""
        self.position, self.forgotten = position, forgotten
        self.series = {state.name: state for state in series}
        self.open = {name for name, state in self.series.items() if state.open}
        self._ledger = sorted((row for state in self.series.values() for row in state.closed), key=_closed_at)
        self._ended = sorted((end, state.name) for state in self.series.values() for end in state.ends)


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


def _newest_first(state: Series | None, end: int) -> Iterator[tuple[int, ClosedWindow]]:
    """The baselines of a series with the offsets from which they apply, as of a position."""
    if state is None:
        return
    if not state.ends:
        yield from ((row.closed_at, row) for row in reversed(state.closed) if row.closed_at < end)
        return
    both = sorted(
        [(row.closed_at, row) for row in state.closed] + [(at, _NONE) for at in state.ends], key=itemgetter(0)
    )
    yield from (one for one in reversed(both) if one[0] < end)  # of several that one record closes the last one first
