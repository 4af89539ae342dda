"""Which series have been silent for as long as an incident of theirs is to be quiet, by their rules' policies.

Part of what `oda.core.silence` sees, and no decision, as that. Looking at all series each time would cost too much:
each is looked at when that may be so at the earliest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from oda.core.rules.match import Rules
from oda.core.windows import PartitionWindows


class Quiet:
    """Of one partition, as one run of the spout has heard of its series."""

    def __init__(self) -> None:
        self._rules: Rules | None = None
        self._looks: list[tuple[int, str]] = []  # a heap: when, at the earliest, there is something to see
        self._waiting: set[str] = set()  # those that are in there, or need not be
        self._told: dict[str, int] = {}  # the longest quiet that was

    def heard(self, clock: int, series: Iterable[str]) -> None:
        """There were readings of these series at a time of the run's clock (ms)."""
        names = set(series)
        for name in self._told.keys() & names:
            del self._told[name]
        for name in names - self._waiting:
            self._waiting.add(name)
            heappush(self._looks, (clock, name))

    def due(self, clock: int, heard: Callable[[str], int], windows: PartitionWindows) -> dict[str, int]:
        """By series the start of the window (epoch ms) up to whose end it has been quiet for long enough; each once.

        Args:
            clock: a time of the run's clock (ms).
            heard: when there was the last reading of a series, by that clock.
            windows: the log up to there, applied.
        """
        if windows.rules is not self._rules:
            self._rules = windows.rules
            self._waiting = set(windows.series)
            self._looks = [(clock, name) for name in windows.series]
            heapify(self._looks)
        found: dict[str, int] = {}
        while self._looks and self._looks[0][0] <= clock:
            self._look(heappop(self._looks)[1], clock, heard, windows, found)
        return found

    def _look(
        self, name: str, clock: int, heard: Callable[[str], int], windows: PartitionWindows, found: dict[str, int]
    ) -> None:
        state, rule = windows.series.get(name), windows.rules.of(name)
        if state is None or state.max_time < 0:
            self._waiting.discard(name)
            return
        if rule.window is None:  # its time is not known
            return
        size, grace = rule.window.size_ms, rule.window.lateness_ms + rule.window.idle_ms
        for quiet in rule.quiets:
            if quiet <= self._told.get(name, -1):
                continue
            end = -(-(state.max_time + quiet) // size) * size
            when = heard(name) - state.max_time + end + grace
            if when > clock:
                heappush(self._looks, (when, name))
                return
            found[name], self._told[name] = end - size, quiet
        if rule.quiets:
            self._waiting.discard(name)
