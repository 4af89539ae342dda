"""The window bolt's protocol for one partition: when to apply, emit, acknowledge and save.

Pure: it is told what arrived and what became durable, and answers with what to do. The rules:

- A batch beyond the applied position is parked until a replay has filled the gap before it.
- What a batch puts out is a function of the log, so it goes out at once: a replay repeats it, and so
  does any other process that works on the same partition.
- A batch is acknowledged only when a snapshot at or past its end is durable.
- More than what was applied here can't be committed, unless another process has gone on with the
  partition, or its snapshot is lost: what is loaded anew tells which.
- A replay says that Storm has given up the attempt before it. That one is failed, so that Storm
  forgets it, too: while no snapshot can be saved, attempts would pile up here and in the worker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oda.core.baselines import Baselines
from oda.core.batch import Batch
from oda.core.kinds import ClosedWindow
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows

Identity = tuple[int, int, int]

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


class OvertakenError(Exception):
    """Another process has gone on with the partition: what is known of it here is out of date."""


class Partition:
    """One partition as the window bolt sees it.

    Attributes:
        windows: the state machine.
        durable: position of the newest snapshot that is known to be durable.
        lost: how many positions were skipped because no snapshot reached the committed offset.
    """

    def __init__(self, windows: PartitionWindows) -> None:
        self.windows = windows
        self.durable = windows.position
        self.lost = 0
        self._is_new = True
        self._silence = Silence()
        self._epoch = 0
        self._parked: dict[Identity, tuple[Batch, Handle]] = {}
        self._unacked: dict[Identity, tuple[int, Handle]] = {}

    def receive(self, batch: Batch, handle: Handle) -> list[Action]:
        """Take a batch in any order and any number of times; what can be done now is returned.

        Raises:
            OvertakenError: the partition has to be loaded anew.
        """
        if batch.committed > self.windows.position:
            self._start_at(batch.committed)
        self._is_new = False
        actions = self._let_go(batch)
        self._parked[batch.identity] = batch, handle
        while (ready := self._next_ready()) is not None:
            actions += self._process(*self._parked.pop(ready))
        return actions

    def silent(self, epoch: int, position: int, clock: int) -> dict[str, int]:
        """What a clock record should say, given that the log ended at `position` when the clock of a run was `clock`.

        Nothing unless just what lies before `position` has been applied.
        """
        return self._silence.due(epoch, clock, self.windows) if position == self.windows.position else {}

    def saved(self, position: int) -> list[Action]:
        """A snapshot at this position is durable: acknowledge what waited for it."""
        self.durable = max(self.durable, position)
        actions: list[Action] = [Ack(handle) for end, handle in self._unacked.values() if end <= self.durable]
        self._unacked = {key: waiting for key, waiting in self._unacked.items() if waiting[0] > self.durable}
        return actions

    @property
    def is_dirty(self) -> bool:
        """True when the state has changed since the newest durable snapshot."""
        return self.windows.position > self.durable

    def _start_at(self, committed: int) -> None:
        if not self._is_new:
            raise OvertakenError(f"applied up to {self.windows.position}, but {committed} is committed")
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
            for waiting in (self._parked, self._unacked):
                if key in waiting:
                    actions.append(Fail(waiting.pop(key)[1]))
        return actions

    def _next_ready(self) -> Identity | None:
        ready = [key for key, (batch, _) in self._parked.items() if batch.start <= self.windows.position]
        return min(ready, key=lambda key: self._parked[key][0].start, default=None)

    def _process(self, batch: Batch, handle: Handle) -> list[Action]:
        if batch.end > self.windows.position:
            self._silence.heard(batch.epoch, batch.clock, batch.readings.names)
        self.windows.apply(batch)
        actions: list[Action] = [
            Emit(handle, batch, self.windows.closed_by(batch), self.windows.baselines(batch)),
        ]
        if batch.end <= self.durable:
            actions.append(Ack(handle))
        else:
            self._unacked[batch.identity] = batch.end, handle
        return actions
