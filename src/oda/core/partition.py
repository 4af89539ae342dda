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
- A replay says that Storm has given up the attempt before it. That one is failed, so that Storm
  forgets it, too: while no snapshot can be saved, attempts would pile up here and in the worker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oda.core.baselines import Baselines
from oda.core.batch import Batch
from oda.core.rows import ClosedWindow
from oda.core.windows import PartitionWindows

Identity = tuple[int, int, int, int]

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


class Fail(NamedTuple):
    """Let go of an attempt at a batch that Storm has given up already."""

    handle: Handle


Action = Emit | Ack | Fail


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
        self._epoch = 0
        self._parked: dict[Identity, tuple[Batch, Handle]] = {}
        self._held: dict[Identity, tuple[int, Emit]] = {}
        self._unacked: dict[Identity, tuple[int, Handle]] = {}

    def receive(self, batch: Batch, handle: Handle) -> list[Action]:
        """Take a batch in any order and any number of times; what can be done now is returned."""
        if batch.committed > self.windows.position:
            self._start_at(batch.committed)
        actions = self._let_go(batch)
        self._parked[batch.identity] = batch, handle
        while (ready := self._next_ready()) is not None:
            actions += self._process(*self._parked.pop(ready))
        return actions

    def saved(self, version: int) -> list[Action]:
        """A snapshot of this version is durable: release what waited for it."""
        self.durable = max(self.durable, version)
        actions: list[Action] = [emit for needs, emit in self._held.values() if needs <= self.durable]
        actions += [Ack(handle) for needs, handle in self._unacked.values() if needs <= self.durable]
        self._held = {key: held for key, held in self._held.items() if held[0] > self.durable}
        self._unacked = {key: waiting for key, waiting in self._unacked.items() if waiting[0] > self.durable}
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

    def _let_go(self, batch: Batch) -> list[Action]:
        """Drop the former attempt at this batch, and all attempts of runs of the spout before this one's."""
        given_up = [batch.identity]
        if batch.epoch > self._epoch:
            self._epoch = batch.epoch
            given_up += [key for key in (*self._parked, *self._unacked) if key[0] < batch.epoch]
        actions: list[Action] = []
        for key in given_up:
            self._held.pop(key, None)
            for waiting in (self._parked, self._unacked):
                if key in waiting:
                    actions.append(Fail(waiting.pop(key)[1]))
        return actions

    def _next_ready(self) -> Identity | None:
        ready = [key for key, (batch, _) in self._parked.items() if batch.start <= self.windows.position]
        return min(ready, key=lambda key: self._parked[key][0].start, default=None)

    def _process(self, batch: Batch, handle: Handle) -> list[Action]:
        before = self.windows.version
        self.windows.apply(batch)
        if batch.is_clock and self.windows.version > before:
            self._barrier = self.windows.version
        actions: list[Action] = []
        emit = Emit(handle, batch, self._closed_windows(batch), self.windows.baselines(batch))
        if self._barrier <= self.durable:
            actions.append(emit)
        else:
            self._held[batch.identity] = self._barrier, emit
        # Never before its outputs, which the barrier may hold.
        needs = max(self._barrier, self.windows.version if batch.is_clock else batch.end << 20)
        if needs <= self.durable:
            actions.append(Ack(handle))
        else:
            self._unacked[batch.identity] = needs, handle
        return actions

    def _closed_windows(self, batch: Batch) -> list[ClosedWindow]:
        rows = self.windows.closed_by(batch)
        if not batch.is_clock or batch.start < self.windows.position:
            return rows
        if self._tip != (batch.epoch, batch.start):
            self._tip, self._carriers = (batch.epoch, batch.start), {}
        return [row for row in rows if self._carriers.setdefault((row.series, row.start), batch.clock) == batch.clock]
