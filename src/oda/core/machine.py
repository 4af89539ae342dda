"""A machine: a state machine over one partition's log.

It applies batches in log order and answers, for any batch that it has applied and that may still be replayed, what
that batch put out. Both first pass and replay take the outputs from ledgers, so that they can't differ. It knows
nothing of Storm, of Kafka or of the stores; `oda.core.partition` is the protocol around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from oda.core.batch import Batch
from oda.core.ledger import Ledger

State = TypeVar("State", bound=msgspec.Struct)


class Gap(Exception):  # noqa: N818 - a condition, not a fault
    """The batch starts beyond the applied position: a replay must fill the gap first."""


class OvertakenError(Exception):
    """Another process has gone on with the partition: what is known of it here is out of date."""


class Machine(ABC, Generic[State]):
    """Applied position, states of series and ledgers of one partition.

    Attributes:
        name: of the machine, in its snapshots.
        state: the type of what is kept of one series; it has the series' `name`.
        position: every record before this offset has been applied.
        forgotten: what was put out before this offset has been acknowledged and is not known any more.
        series: what is known of each, by name.
        changed: names that are, or were, in `series`, whose state is another than in the newest snapshot.
        ledgers: what was put out, by name.
        ledger_rows: the types of their rows.
    """

    name: ClassVar[str]
    state: ClassVar[type[msgspec.Struct]]
    ledger_rows: ClassVar[Mapping[str, type[msgspec.Struct]]]

    def __init__(self, position: int, ledgers: Mapping[str, Ledger[Any]]) -> None:
        self.position = self.forgotten = self._taken = position
        self.series: dict[str, State] = {}
        self.changed: set[str] = set()
        self.ledgers = ledgers

    def apply(self, batch: Batch) -> None:
        """Advance to the end of a batch; what was applied already is skipped.

        Raises:
            Gap: the batch starts beyond `position`.
        """
        if batch.start > self.position:
            raise Gap(f"batch starts at {batch.start}, applied up to {self.position}")
        if batch.end > self.position:
            self.advance(batch)
            self.position = batch.end
        self._forget(batch.committed)

    @abstractmethod
    def advance(self, batch: Batch) -> None:
        """Apply what a batch has from `position` on.

        Raises:
            OvertakenError: the partition has to be loaded anew.
        """

    def outputs(self, batch: Batch) -> dict[str, list[Any]]:
        """What an applied batch puts out, by ledger: the same now and in a replay.

        Nothing of what lies before `forgotten`: the stores have it. Such a batch comes when somebody has set the
        committed offset back.
        """
        return {name: ledger.between(batch.start, batch.end) for name, ledger in self.ledgers.items()}

    def _forget(self, committed: int) -> None:
        if committed > self.forgotten:
            self.forgotten = committed
            for ledger in self.ledgers.values():
                ledger.forget(committed)

    def conditions(self) -> dict[str, int | float | str]:
        """The settings, by name, that a state can't go on without."""
        return {}

    # -- snapshots

    def take_changes(self) -> tuple[list[State], list[str], dict[str, list[Any]]]:
        """What is new since this was asked the last time: states, names of series that are gone, outputs."""
        changed, self.changed = self.changed, set()
        since, self._taken = self._taken, self.position
        states = [self.series[name] for name in changed if name in self.series]
        return (
            states,
            list(changed - self.series.keys()),
            {name: ledger.since(since) for name, ledger in self.ledgers.items()},
        )

    def take_all(self) -> tuple[list[State], list[str], dict[str, list[Any]]]:
        """All that there is; what changes is counted from here on."""
        self.take_changes()
        return list(self.series.values()), [], {name: ledger.since(0) for name, ledger in self.ledgers.items()}

    def restore(self, position: int, forgotten: int, series: Iterable[State], rows: Mapping[str, list[Any]]) -> None:
        """Take over the state of a snapshot."""
        self.position = self._taken = position
        self.series = {state.name: state for state in series}  # type: ignore[attr-defined]  # each has one
        for name, ledger in self.ledgers.items():
            ledger.add(rows.get(name, []))
        self._forget(forgotten)
