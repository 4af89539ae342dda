"""The window bolt's partition: the protocol, and the clock that sees which series are silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from oda.core.batch import Batch
from oda.core.partition import Handle, Partition
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows


class Mark(NamedTuple):
    """Write a clock record (see `oda.core.clock`)."""

    position: int
    through: dict[str, int]
    ended: list[str]


class AllQuiet(NamedTuple):
    """Tell that of a partition up to a position all is done, all windows are closed, and nothing comes."""

    position: int


_QUIET_MS = 1_000
"""How long until it is told again that a partition is quiet: each time twice as long."""


class WindowPartition(Partition[PartitionWindows]):
    """As `Partition`; of each run of the spout that is known it keeps what that heard of series."""

    def __init__(self, fresh: Callable[[int], PartitionWindows], save_seconds: float) -> None:
        super().__init__(fresh, save_seconds)
        self._silences: dict[int, Silence] = {}
        self._quiet_at = (-1, -1)  # in which run, and at which position, it was told of last
        self._next_quiet, self._quiet_pause = 0, _QUIET_MS

    def receive(self, batch: Batch, handle: Handle, now: float) -> list[Any]:
        """Take a batch (see `Partition.receive`), and note of which series it has heard."""
        self._silence(batch.epoch, batch.clock).heard(batch.clock, batch.readings.names)
        return super().receive(batch, handle, now)

    def clock(self, epoch: int, position: int, committed: int, clock: int, now: float) -> list[Any]:
        """Look for silence, given that the log ended at `position` when the clock of a run was `clock`.

        Nothing is seen unless just what lies before `position` has been applied. A partition of which nothing comes any
        more has to be loaded for it, too; and anew, if it is one that another process has gone on with.

        Raises:
            OvertakenError: the partition has to be loaded anew.
        """
        self._committed = max(self._committed, committed)
        silence = self._silence(epoch, clock)
        actions: list[Any] = self._meet(epoch)
        if self._machine is None:
            return actions + self._load()
        if self._committed > self._machine.position:
            return actions + self._go_on(self._machine, now)
        if position == self._machine.position:
            through, ended = silence.due(clock, self._machine)
            if through or ended:
                actions.append(Mark(position, through, ended))
            if self._machine.is_grouped and self._machine.is_quiet and position == committed:
                actions += self._quiet((epoch, position), clock)
        return actions

    def _quiet(self, at: tuple[int, int], clock: int) -> list[AllQuiet]:
        """Time and again, as what is told may get lost, and less and less often."""
        if at != self._quiet_at:
            self._quiet_at, self._next_quiet, self._quiet_pause = at, clock, _QUIET_MS
        if clock < self._next_quiet:
            return []
        self._next_quiet = clock + self._quiet_pause
        self._quiet_pause *= 2
        return [AllQuiet(at[1])]

    def _silence(self, epoch: int, clock: int) -> Silence:
        if epoch not in self._silences:
            known = {run: silence for run, silence in self._silences.items() if run in self._runs}
            self._silences = known | {epoch: Silence(clock)}
        return self._silences[epoch]
