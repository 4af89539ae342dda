"""The clock of a file: the largest time so far.

A live system's clock closes the windows of a series that falls silent. In a file it goes on with the readings of all
series; this says where it would have found something to close.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.detectors.contract import WindowDetector
from oda.core.lead import Lead
from oda.core.rules.match import Rules
from oda.core.rules.rule import Rule

_BITS = 43  # of a time, as in oda.core.windows: with a series' number they share an int64
_MASK = 2**_BITS - 1

Column = NDArray[np.int64]


class LargestTime:
    """The largest time so far, outliers of time left out.

    Attributes:
        now: epoch ms; -1 before the first reading.
    """

    def __init__(self, rules: Rules) -> None:
        self.now = -1
        self._rules = rules
        self._lead = Lead()

    def take(self, readings: Readings) -> tuple[Column, Column]:
        """Go on with readings that follow those of before.

        Returns:
            their own times, -1 of outliers; and the largest at each: both of shape (n,), epoch ms.
        """
        times = readings.times.copy()
        times[self._lead.outliers(readings, [self._rules.of(name).lead_ms for name in readings.names])] = -1
        largest = np.maximum.accumulate(np.r_[self.now, times])[1:]
        self.now = int(largest[-1])
        return times, largest


class _Last(NamedTuple):
    """Of a series that was heard: its largest time, its window, and when the clock has something to say of it."""

    newest: int
    window: int
    dues: list[int]


class FileClock:
    """Where the clock has something to say among readings.

    Not everywhere: the next reading of a series closes its windows as well. It makes a difference where that one is of
    such a window, and where a detector judges windows, or incidents end as it has been quiet.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._largest = LargestTime(rules)
        self._last: dict[str, _Last] = {}

    @property
    def now(self) -> int:
        """Epoch ms; -1 before the first reading."""
        return self._largest.now

    def take(self, readings: Readings) -> tuple[Column, list[int]]:
        """Go on with readings that follow those of before.

        Returns:
            the clock at each of them, of shape (n,), epoch ms; and the indexes of those before which it is to be asked.
        """
        rules = [self._rules.of(name) for name in readings.names]
        times, clock = self._largest.take(readings)
        places = set(self._of_silent(readings, clock))
        has_windows = np.array([rule.window is not None for rule in rules])
        order = np.argsort(readings.series, kind="stable")
        order = order[has_windows[readings.series[order]]]
        if len(order):
            places.update(self._of_heard(readings, rules, times, clock, order))
        return clock, sorted(places)

    def _of_silent(self, readings: Readings, clock: Column) -> Iterator[int]:
        """Series of before that are not among the readings."""
        for name in self._last.keys() - set(readings.names):
            if _minds(self._rules.of(name)):
                last = self._last[name]
                for due in last.dues:
                    if due <= self.now:
                        yield int(np.searchsorted(clock, due))
                if max(last.dues) <= self.now:
                    del self._last[name]

    def _of_heard(
        self, readings: Readings, rules: list[Rule], times: Column, clock: Column, order: NDArray[np.intp]
    ) -> Iterator[int]:
        """Series of the readings that `order` has, series by series and each in the order of the file."""
        codes = readings.series[order].astype(np.int64)
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        ends = np.r_[starts[1:], len(codes)] - 1
        names = [readings.names[code] for code in codes[starts].tolist()]
        size, lateness, idle, minds = np.array([_parameters(rule) for rule in rules]).T[:, codes]

        newest = np.maximum(times[order], 0)
        before = [self._last[name].newest if name in self._last else 0 for name in names]
        newest[starts] = np.maximum(newest[starts], before)
        newest = np.maximum.accumulate((codes << _BITS) + newest) & _MASK
        window = newest // size
        from_end = clock[order] - newest + lateness + idle
        dues = [from_end + ((newest - lateness) // size + 1) * size, from_end + (window + 1) * size]
        dues += [
            np.where(quiet < 0, dues[1], from_end - (-(newest + quiet) // size) * size)
            for quiet in _quiets(rules)[:, codes]
        ]

        # Of each reading the next one of its series; len(clock) if there is none.
        following = np.r_[order[1:], 0]
        following[ends] = len(clock)
        known = np.minimum(following, len(clock) - 1)
        matters = (minds > 0) | ((following < len(clock)) & (times[known] // size <= window))
        for due in dues:
            at = np.searchsorted(clock, due)
            # Where it does not matter by what a window is closed, just before it does.
            places = np.where(minds > 0, at, following)
            yield from places[(at <= following) & (at < len(clock)) & matters].tolist()

        for name, start, end in zip(names, starts.tolist(), ends.tolist(), strict=True):
            last, first = self._last.get(name), int(order[start])
            if last and (minds[start] or times[first] // size[start] <= last.window):
                at = [place for place in np.searchsorted(clock, last.dues).tolist() if place <= first]
                yield from at if minds[start] else [first] * bool(at)
            self._last[name] = _Last(int(newest[end]), int(window[end]), [int(due[end]) for due in dues])


def _minds(rule: Rule) -> bool:
    """Whether it makes a difference by what a window is closed."""
    return any(watch.incident or isinstance(watch.detector, WindowDetector) for watch in rule.detectors)


def _parameters(rule: Rule) -> tuple[int, int, int, bool]:
    window = rule.window
    return (1, 0, 0, False) if window is None else (window.size_ms, window.lateness_ms, window.idle_ms, _minds(rule))


def _quiets(rules: list[Rule]) -> Column:
    """For how long incidents are to be quiet: shape (k, rules), -1 where a rule has fewer."""
    most = max((len(rule.quiets) for rule in rules), default=0)
    rows = [rule.quiets + [-1] * (most - len(rule.quiets)) for rule in rules]
    return np.array(rows, np.int64).reshape(len(rules), most).T
