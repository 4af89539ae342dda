"""Which series have been silent for so long that their windows are over.

What this sees depends on a clock, so it decides nothing: its findings become clock records (see `oda.core.clock`).
Silence is what one run of the spout saw, by a clock that only goes forward: a new run counts anew, since its machine
may have another time.
"""

from __future__ import annotations

from collections.abc import Iterable

from oda.core.windows import PartitionWindows


class Silence:
    """The series of one partition, as the newest run of the spout has heard of them.

    Example:
        silence = Silence()
        silence.heard(epoch, clock, batch.readings.names)
        through = silence.due(epoch, clock, windows)        # what a clock record should say
    """

    def __init__(self) -> None:
        self._epoch = -1
        self._since = 0
        self._heard: dict[str, int] = {}
        self._asked: dict[str, int] = {}

    def heard(self, epoch: int, clock: int, series: Iterable[str]) -> None:
        """Readings of these series came in a run of the spout, at a time of its clock (ms)."""
        if self._is_of_newest_run(epoch, clock):
            self._heard.update(dict.fromkeys(series, clock))
            for name in self._asked.keys() & series:
                del self._asked[name]

    def due(self, epoch: int, clock: int, windows: PartitionWindows) -> dict[str, int]:
        """By series the start of its last window that is over, epoch ms; each is told once.

        A window is over when `largest time + (clock - arrival of the last reading)` passes its end + lateness + idle.

        Args:
            epoch: the run of the spout.
            clock: a time of its clock (ms) as of which the whole log had been read.
            windows: that log, applied.
        """
        if not self._is_of_newest_run(epoch, clock):
            return {}
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

    def _is_of_newest_run(self, epoch: int, clock: int) -> bool:
        if epoch > self._epoch:
            self._epoch, self._since = epoch, clock
            self._heard, self._asked = {}, {}
        return epoch == self._epoch
