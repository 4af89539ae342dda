"""Which series have been silent for so long that their windows are over, or the series itself.

What this sees depends on a clock, so it decides nothing: its findings become clock records (see `oda.core.clock`).
Silence is what one run of the spout saw, by a clock that only goes forward: another run counts for itself, since its
machine may have another time.
"""

from __future__ import annotations

from collections.abc import Iterable

from oda.core.quiet import Quiet
from oda.core.windows import PartitionWindows

_LOOKS = 20
"""For series that end, in the time that it takes for one."""

_END = -1


class Silence:
    """The series of one partition, as one run of the spout has heard of them.

    Args:
        since: the time of the run's clock (ms) when it was first heard of.

    Example:
        silence = Silence(batch.clock)
        silence.heard(batch.clock, batch.readings.names)
        through, ended = silence.due(clock, windows)        # what a clock record should say
    """

    def __init__(self, since: int) -> None:
        self._since = self._newest = since
        self._heard: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._next_end = since
        self._quiet = Quiet()

    def heard(self, clock: int, series: Iterable[str]) -> None:
        """Readings of these series came at a time of the run's clock (ms); a replay tells of no other time."""
        if clock < self._newest:
            series = [name for name in series if clock > self._heard.get(name, self._since)]
        self._newest = max(self._newest, clock)
        self._heard.update(dict.fromkeys(series, clock))
        for name in self._asked.keys() & series:
            del self._asked[name]
        self._quiet.heard(clock, series)

    def due(self, clock: int, windows: PartitionWindows) -> tuple[dict[str, int], list[str]]:
        """By series the start of its last window that is over, epoch ms, and the series that end; each is told once.

        A window is over when `largest time + (clock - arrival of the last reading)` passes its end + lateness + idle.
        Of a series with incidents so may be one that holds no readings (see `oda.core.quiet`).

        Args:
            clock: a time of the run's clock (ms) as of which the whole log had been read.
            windows: that log, applied.
        """
        through = self._quiet.due(clock, self._heard_at, windows)
        for name, start in self._over(clock, windows).items():
            through[name] = max(start, through.get(name, start))
        return through, self._ended(clock, windows)

    def _heard_at(self, name: str) -> int:
        return self._heard.get(name, self._since)

    def _over(self, clock: int, windows: PartitionWindows) -> dict[str, int]:
        found = {}
        for name in windows.open:
            state, rule = windows.series[name], windows.window_of(name)
            virtual_time = state.max_time + clock - self._heard_at(name)
            grace = rule.size_ms + rule.lateness_ms + rule.idle_ms
            over = [n * rule.size_ms for n in state.open if virtual_time >= n * rule.size_ms + grace]
            if over and self._asked.get(name) != max(over):
                self._asked[name] = found[name] = max(over)
        return found

    def _ended(self, clock: int, windows: PartitionWindows) -> list[str]:
        """All series are looked at, so not each time."""
        expire = windows.settings.window.expire_ms
        if clock < self._next_end:
            return []
        self._next_end = clock + expire // _LOOKS
        self._heard = {name: time for name, time in self._heard.items() if name in windows.series}
        self._asked = {name: what for name, what in self._asked.items() if name in windows.series}
        found = [
            name
            for name, state in windows.series.items()
            if clock >= self._heard_at(name) + expire
            and not state.open
            and state.derived < 0
            and self._asked.get(name) != _END
        ]
        self._asked |= dict.fromkeys(found, _END)
        return found
