"""The protocol around a machine of one partition: when to apply, emit, acknowledge and save.

Pure: it is told what arrived and what became durable, and answers with what to do. The rules:

- Until the newest snapshot is there, batches are parked; so is one beyond the applied position, until a
  replay has filled the gap before it. If that lasts, one of them is failed, and the spout emits again what
  it has not got acknowledged, in order: it was lost with the process that was here before.
- What a batch puts out is a function of the log, so it goes out at once: a replay repeats it, and so
  does any other process that works on the same partition.
- So is one with rules that can't be followed here, as they name a detector that is not installed: until it is.
- A batch is acknowledged only when a snapshot at or past its end is durable.
- More than what was applied here can't be committed, unless another process has gone on with the
  partition, or its snapshot is lost: what is loaded anew tells which.
- A replay says that Storm has given up the attempt before it. That one is failed, so that Storm
  forgets it, too: while no snapshot can be saved, attempts would pile up here and in the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

from oda.core import snapshot
from oda.core.batch import Batch
from oda.core.machine import Machine, OvertakenError
from oda.core.pace import Recent
from oda.core.rules.problem import RulesError

_GAP_SECONDS = 1.0
"""How long a gap may stay, as replays come in any order, until what is missing is asked for, time and again."""

_WAIT_SECONDS = 10.0
"""How often rules that can't be followed are tried again: somebody has to install something first."""

_MANY = 5_000
_MANY_SECONDS, _MANY_PART = 10.0, 0.15
"""So many offsets that are applied and not durable, and at least this part of those that became durable in the last
seconds, are saved before it is time: a spout that works off a backlog lets only as much on its way as was acknowledged
not long ago, so it would be long before it is at full speed."""

SAVE_BYTES = 4 * 2**20
"""Of snapshots in a second, at most: what encodes and stores them takes a few hundredths of a core."""

MOST_SAVE_SECONDS = 5.0
"""However large a snapshot is: until it is durable, nothing before it is acknowledged, and Storm's time-out runs."""

_MOST_CHANGES = 64
"""Saved beside one whole state: the head names each, and who loads it reads each, however small they are."""

_MOST_RUNS = 8
"""Of the spout that are known, those before them that should be dead included."""

Identity = tuple[int, int, int]

Handle = Any
"""What the bolt knows a batch by: Storm's tuples, to anchor to and to acknowledge."""

M = TypeVar("M", bound=Machine[Any])


class Emit(NamedTuple):
    """Put out the results of a batch, anchored to its handle; those of before `forgotten` are not known any more."""

    handle: Handle
    batch: Batch
    outputs: dict[str, list[Any]]
    forgotten: int


class Ack(NamedTuple):
    """Acknowledge a batch."""

    handle: Handle


class Fail(NamedTuple):
    """Fail a batch: Storm has given this attempt up already, or should now."""

    handle: Handle


class Load(NamedTuple):
    """Ask for the partition's newest snapshot."""


class Save(NamedTuple):
    """Make a snapshot durable."""

    position: int
    data: bytes
    is_whole: bool


class Tell(NamedTuple):
    """Tell people what the partition waits for."""

    problem: str


class Skip(NamedTuple):
    """Tell that no snapshot reached the committed offset: so many offsets were skipped, and what was open is lost."""

    offsets: int


Action = Emit | Ack | Fail | Load | Save | Tell | Skip


class Partition(Generic[M]):
    """One partition as a bolt sees it; `now` is in seconds, of a clock that only goes forward.

    Args:
        fresh: a machine that begins at a position.
        save_seconds: how long after the beginning of a save the next one may begin.
    """

    def __init__(self, fresh: Callable[[int], M], save_seconds: float) -> None:
        self._fresh = fresh
        self._save_seconds = save_seconds
        self._machine: M | None = None  # until the snapshot is there
        self._is_loading = self._is_saving = False
        self._is_new = True
        self._durable = 0
        self._saved_whole = self._saved_changes = 0  # bytes: of the last whole state, and of changes to it since then
        self._saves_of_changes = 0
        self._committed = self._committed_before = 0  # as told by now, and when the snapshot was asked for
        self._next_save = self._next_early_save = -inf
        self._durable_lately = Recent(_MANY_SECONDS)
        self._next_recall: float | None = None
        self._next_apply = -inf
        self._runs: list[int] = []  # by epoch, the one heard of last at the end
        self._parked: dict[Identity, tuple[Batch, Handle]] = {}
        self._unacked: dict[Identity, tuple[int, Handle]] = {}

    def receive(self, batch: Batch, handle: Handle, now: float) -> list[Any]:
        """Take a batch in any order and any number of times; what can be done now is returned.

        Raises:
            OvertakenError: the partition has to be loaded anew.
        """
        self._committed = max(self._committed, batch.committed)
        actions = self._meet(batch.epoch) + self._let_go([batch.identity])
        self._parked[batch.identity] = batch, handle
        if self._machine is not None:
            return actions + self._go_on(self._machine, now)
        return actions + self._load()

    def loaded(self, machine: M, now: float) -> list[Action]:
        """The newest snapshot is this; go on with what waited for it."""
        self._machine = machine
        self._durable = machine.position
        return self._go_on(machine, now)

    def tick(self, now: float) -> list[Action]:
        """What is due even when no batch comes, as when the spout is held back."""
        if self._machine is None:
            return []
        return self._apply(self._machine, now) + self._recall(self._machine, now) + self._save(now)

    def _save(self, now: float) -> list[Action]:
        if self._machine is None or self._is_saving or self.position <= self._durable or not self._may_save(now):
            return []
        self._is_saving = True
        is_whole = self._saved_changes >= self._saved_whole or self._saves_of_changes >= _MOST_CHANGES
        data = snapshot.encode(self._machine) if is_whole else snapshot.encode_changes(self._machine)
        if is_whole:
            self._saved_whole, self._saved_changes, self._saves_of_changes = len(data), 0, 0
        else:
            self._saved_changes += len(data)
            self._saves_of_changes += 1
        self._next_early_save = now + min(len(data) / SAVE_BYTES, MOST_SAVE_SECONDS)
        self._next_save = max(now + self._save_seconds, self._next_early_save)
        return [Save(self.position, data, is_whole)]

    def _may_save(self, now: float) -> bool:
        if now >= self._next_save:
            return True
        many = max(_MANY, _MANY_PART * self._durable_lately.total(now))
        return now >= self._next_early_save and self.position - self._durable >= many

    def saved(self, position: int, now: float) -> list[Action]:
        """The snapshot of this position is durable: acknowledge what waited for it."""
        self._is_saving = False
        self._durable_lately.add(max(position - self._durable, 0), now)
        self._durable = max(self._durable, position)
        return [*self._let_done(), *self._save(now)]

    @property
    def _done(self) -> int:
        """All that batches before it have brought about is durable."""
        return self._durable

    def _let_done(self) -> list[Ack]:
        actions = [Ack(handle) for end, handle in self._unacked.values() if end <= self._done]
        self._unacked = {key: waiting for key, waiting in self._unacked.items() if waiting[0] > self._done}
        return actions

    @property
    def position(self) -> int:
        """Everything before it has been applied; 0 while nothing is known."""
        return 0 if self._machine is None else self._machine.position

    def _go_on(self, machine: M, now: float) -> list[Action]:
        actions: list[Action] = []
        if self._committed > machine.position:
            if not self._is_new:
                raise OvertakenError(f"applied up to {machine.position}, but {self._committed} is committed")
            if self._committed > self._committed_before:  # somebody else may have taken over since it was asked for
                self._machine, self._is_loading = None, False
                return self._load()
            # No snapshot reaches it, and nothing before it comes again, so waiting for that would be forever. Right
            # for a new group on an old topic; a loss of open windows if a snapshot has gone missing.
            machine = self._machine = self._fresh(self._committed)
            actions.append(Skip(self._committed - self._durable))
        return actions + self.tick(now)

    def _apply(self, machine: M, now: float) -> list[Action]:
        """All that is ready, up to rules that can't be followed."""
        actions: list[Action] = []
        while now >= self._next_apply and (ready := self._next_ready(machine)) is not None:
            batch, handle = self._parked[ready]
            try:
                machine.apply(batch)
            except RulesError as error:
                self._next_apply = now + _WAIT_SECONDS
                return [*actions, Tell(f"readings wait, as their rules can't be followed here: {error}")]
            del self._parked[ready]
            actions += self._put_out(machine, batch, handle)
        return actions

    def _load(self) -> list[Action]:
        if self._is_loading:
            return []
        self._is_loading, self._committed_before = True, self._committed
        return [Load()]

    def _meet(self, epoch: int) -> list[Action]:
        """Note a run of the spout; what is left of all others is let go when one is new.

        Which of two is the newer one only tells who comes first: their numbers are drawn by chance.
        """
        is_new = epoch not in self._runs
        if not is_new:
            self._runs.remove(epoch)
        self._runs = [*self._runs, epoch][-_MOST_RUNS:]
        return self._let_go([*self._parked, *self._unacked]) if is_new else []

    def _let_go(self, given_up: Iterable[Identity]) -> list[Action]:
        actions: list[Action] = []
        for key in given_up:
            for waiting in (self._parked, self._unacked):
                if key in waiting:
                    actions.append(Fail(waiting.pop(key)[1]))
        return actions

    def _next_ready(self, machine: M) -> Identity | None:
        ready = [key for key, (batch, _) in self._parked.items() if batch.start <= machine.position]
        return min(ready, key=lambda key: self._parked[key][0].start, default=None)

    def _recall(self, machine: M, now: float) -> list[Action]:
        """Have the spout emit again what is missing before a batch that waits: now, not at Storm's time-out."""
        if not self._parked or self._next_ready(machine) is not None:
            self._next_recall = None
        elif self._next_recall is None:
            self._next_recall = now + _GAP_SECONDS
        elif now >= self._next_recall:
            self._next_recall = now + _GAP_SECONDS
            return [Fail(self._parked.pop(next(iter(self._parked)))[1])]
        return []

    def _put_out(self, machine: M, batch: Batch, handle: Handle) -> list[Action]:
        self._is_new = False
        actions: list[Action] = [Emit(handle, batch, machine.outputs(batch), machine.forgotten)]
        if batch.end <= self._done:
            actions.append(Ack(handle))
        else:
            self._unacked[batch.identity] = batch.end, handle
        return actions
