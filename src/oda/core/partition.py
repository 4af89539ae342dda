"""The window bolt's protocol for one partition: when to apply, emit, acknowledge and save.

Pure: it is told what arrived and what became durable, and answers with what to do. The rules:

- A batch beyond the applied position is parked until a replay has filled the gap before it.
- A batch is acknowledged only when a snapshot at or past its end is durable.
- Data closes windows by a rule on the log, so its outputs may go out at once: a replay repeats
  them. The clock does not, so what it closed (and everything after) goes out only when a snapshot
  that contains the close is durable. Otherwise a crash could leave outputs that nobody made.
- A batch of readings puts out all that closed from its start to its end, the clock's work included.
  What the clock closes at the tip of the log, where no readings have followed, is put out by one
  clock batch; its replay repeats it, and a new run of the spout has its own first one do it again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oda.core.baselines import Baselines
from oda.core.batch import Batch
from oda.core.rows import ClosedWindow
from oda.core.windows import PartitionWindows

Handle = Any
"""What the bolt knows a batch by: the Storm tuple, to anchor to and to acknowledge."""


class Emit(NamedTuple):
    """Put out the results of a batch, anchored to its handle."""

    handle: Handle
    batch: Batch
    rows: list[ClosedWindow]
    baselines: Baselines


class Ack(NamedTuple):
    """Acknowledge a batch."""

    handle: Handle


class Partition:
    """One partition as the window bolt sees it.

    Attributes:
        windows: the state machine.
        durable: version of the newest snapshot that is known to be durable.
        lost: how many positions were skipped because no snapshot reached the committed offset.
    """

    def __init__(self, windows: PartitionWindows) -> None:
        self.windows = windows
        self.durable = windows.version
        self.lost = 0
        self._tip = (-1, -1)
        self._carriers: dict[tuple[str, int], int] = {}
        self._barrier = 0
        self._parked: list[tuple[Batch, Handle]] = []
        self._held: list[tuple[int, Emit]] = []
        self._unacked: list[tuple[int, Handle]] = []

    def receive(self, batch: Batch, handle: Handle) -> list[Emit | Ack]:
        """Take a batch in any order and any number of times; what can be done now is returned."""
        if batch.committed > self.windows.position:
            self._start_at(batch.committed)
        self._parked.append((batch, handle))
        actions: list[Emit | Ack] = []
        while (ready := self._next_ready()) is not None:
            actions += self._process(*self._parked.pop(ready))
        return actions

    def saved(self, version: int) -> list[Emit | Ack]:
        """A snapshot of this version is durable: release what waited for it."""
        self.durable = max(self.durable, version)
        actions: list[Emit | Ack] = [emit for needs, emit in self._held if needs <= self.durable]
        actions += [Ack(handle) for needs, handle in self._unacked if needs <= self.durable]
        self._held = [held for held in self._held if held[0] > self.durable]
        self._unacked = [waiting for waiting in self._unacked if waiting[0] > self.durable]
        return actions

    @property
    def is_dirty(self) -> bool:
        """True when the state has changed since the newest durable snapshot."""
        return self.windows.version > self.durable

    @property
    def is_urgent(self) -> bool:
        """True when outputs wait for a snapshot."""
        return bool(self._held)

    def _start_at(self, committed: int) -> None:
        # Nothing before `committed` comes again, so waiting for it would be forever. Right for a
        # new group on an old topic; a loss of open windows if a snapshot has gone missing.
        self.lost += committed - self.windows.position
        self.windows = PartitionWindows(self.windows.rules, committed)

    def _next_ready(self) -> int | None:
        ready = [at for at, (batch, _) in enumerate(self._parked) if batch.start <= self.windows.position]
        return min(ready, key=lambda at: self._parked[at][0].start, default=None)

    def _process(self, batch: Batch, handle: Handle) -> list[Emit | Ack]:
        before = self.windows.version
        self.windows.apply(batch)
        if batch.is_clock and self.windows.version > before:
            self._barrier = self.windows.version
        actions: list[Emit | Ack] = []
        emit = Emit(handle, batch, self._closed_windows(batch), self.windows.baselines(batch))
        if self._barrier <= self.durable:
            actions.append(emit)
        else:
            self._held.append((self._barrier, emit))
        # Never before its outputs, which the barrier may hold.
        needs = max(self._barrier, self.windows.version if batch.is_clock else batch.end << 20)
        if needs <= self.durable:
            actions.append(Ack(handle))
        else:
            self._unacked.append((needs, handle))
        return actions

    def _closed_windows(self, batch: Batch) -> list[ClosedWindow]:
        rows = self.windows.closed_by(batch)
        if not batch.is_clock or batch.start < self.windows.position:
            return rows
        if self._tip != (batch.epoch, batch.start):
            self._tip, self._carriers = (batch.epoch, batch.start), {}
        return [row for row in rows if self._carriers.setdefault((row.series, row.start), batch.clock) == batch.clock]
