"""Which series have been silent for so long that their windows are over.

What this sees depends on a clock, so it decides nothing: its findings become clock records (see `oda.core.clock`).
Silence is what one run of the spout saw, by a clock that only goes forward: another run counts for itself, since its
machine may have another time.
"""

from __future__ import annotations

from collections.abc import Iterable

from oda.core.windows import PartitionWindows


class Silence:
    """The series of one partition, as one run of the spout has heard of them.

    Args:
        since: the time of the run's clock (ms) when it was first heard of.

    Example:
        silence = Silence(batch.clock)
        silence.heard(batch.clock, batch.readings.names)
        through = silence.due(clock, windows)               # what a clock record should say
    """

    def __init__(self, since: int) -> None:
        self._since = since
        self._heard: dict[str, int] = {}
        self._asked: dict[str, int] = {}

    def heard(self, clock: int, series: Iterable[str]) -> None:
        """Readings of these series came at a time of the run's clock (ms); a replay tells of no other time."""
        for name in series:
            if clock > self._heard.get(name, -1):
                self._heard[name] = clock
                self._asked.pop(name, None)

    def due(self, clock: int, windows: PartitionWindows) -> dict[str, int]:
        """By series the start of its last window that is over, epoch ms; each is told once.

        A window is over when `largest time + (clock - arrival of the last reading)` passes its end + lateness + idle.

        Args:
            clock: a time of the run's clock (ms) as of which the whole log had been read.
            windows: that log, applied.
        """
        rules, found = windows.rules, {}
        grace = rules.size_ms + rules.lateness_ms + rules.idle_ms
        for name, state in windows.series.items():
            if not state.open:
                continue
            virtual_time = state.max_time + clock - self._heard.get(name, self._since)
            over = [n for n in state.open if virtual_time >= n * rules.size_ms + grace]
            if over and self._asked.get(name) != max(over):
                self._asked[name] = max(over)
                found[name] = max(over) * rules.size_ms
        return found
