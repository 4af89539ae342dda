"""A machine: a state machine over one partition's log.

It applies batches in log order and answers, for any batch that it has applied and that may still be replayed, what
that batch put out. Both first pass and replay take the outputs from ledgers, so that they can't differ. It knows
nothing of Storm, of Kafka or of the stores; `oda.core.partition` is the protocol around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from oda.core.batch import Batch, RuleMark
from oda.core.ledger import Ledger
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parsed
from oda.settings import Settings

State = TypeVar("State", bound=msgspec.Struct)


class Gap(Exception):  # noqa: N818 - a condition, not a fault
    """The batch starts beyond the applied position: a replay must fill the gap first."""


class OvertakenError(Exception):
    """Another process has gone on with the partition: what is known of it here is out of date."""


class Taken(NamedTuple, Generic[State]):
    """For a snapshot: states, names of series that are gone, rows of ledgers by their names, and the text of the rules.

    The text is None if it is what it was.
    """

    series: list[State]
    gone: list[str]
    rows: dict[str, list[Any]]
    rules: str | None


class Machine(ABC, Generic[State]):
    """Applied position, states of series and ledgers of one partition.

    Attributes:
        name: of the machine, in its snapshots.
        state: the type of what is kept of one series; it has the series' `name`.
        rules: as the log has them at `position`.
        position: every record before this offset has been applied.
        forgotten: what was put out before this offset has been committed and is not known any more.
        series: what is known of each, by name.
        changed: names that are, or were, in `series`, whose state is another than in the newest snapshot.
        ledgers: what was put out, by name.
        ledger_rows: the types of their rows.
    """

    name: ClassVar[str]
    state: ClassVar[type[msgspec.Struct]]
    ledger_rows: ClassVar[Mapping[str, type[msgspec.Struct]]]

    def __init__(self, settings: Settings, position: int, ledgers: Mapping[str, Ledger[Any]]) -> None:
        self.settings = settings
        self.rules = of_options(settings)
        self._taken_version = 0
        self.position = self.forgotten = self._taken = position
        self.series: dict[str, State] = {}
        self.changed: set[str] = set()
        self.ledgers = ledgers

    def apply(self, batch: Batch) -> None:
        """Advance to the end of a batch; what was applied already is skipped.

        Raises:
            Gap: the batch starts beyond `position`.
            RulesError: nothing was applied, as rules in it can't be followed here: perhaps they name a detector that is
                not installed.
        """
        if batch.start > self.position:
            raise Gap(f"batch starts at {batch.start}, applied up to {self.position}")
        if batch.end > self.position:
            for mark in self.newer(batch):
                self.rules_of(mark)  # before anything changes
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

    def besides(self) -> dict[str, Any]:
        """What is kept of the partition as a whole."""
        return {}

    def rules_of(self, mark: RuleMark) -> Rules:
        """The rules that hold from a mark on."""
        return parsed(mark.text, self.settings, mark.version)

    def newer(self, batch: Batch) -> list[RuleMark]:
        """The marks of a batch at which the rules become others: those that lie ahead, and have a newer version."""
        found: list[RuleMark] = []
        version = self.rules.version
        for mark in batch.rules:
            if mark.offset >= self.position and mark.version > version:
                found.append(mark)
                version = mark.version
        return found

    # -- snapshots

    def take_changes(self) -> Taken[State]:
        """What is new since this was asked the last time."""
        changed, self.changed = self.changed, set()
        since, self._taken = self._taken, self.position
        version, self._taken_version = self._taken_version, self.rules.version
        return Taken(
            [self.series[name] for name in changed if name in self.series],
            list(changed - self.series.keys()),
            {name: ledger.since(since) for name, ledger in self.ledgers.items()},
            None if version == self.rules.version else self.rules.text,
        )

    def take_all(self) -> Taken[State]:
        """All that there is; what changes is counted from here on."""
        self.take_changes()
        rows = {name: ledger.since(0) for name, ledger in self.ledgers.items()}
        return Taken(list(self.series.values()), [], rows, self.rules.text)

    def restore(
        self,
        position: int,
        forgotten: int,
        rules: Rules,
        besides: Mapping[str, Any],
        series: Iterable[State],
        rows: Mapping[str, list[Any]],
    ) -> None:
        """Take over the state of a snapshot."""
        self.rules = rules
        self._taken_version = rules.version
        self.position = self._taken = position
        self.series = {state.name: state for state in series}  # type: ignore[attr-defined]  # each has one
        for name, ledger in self.ledgers.items():
            ledger.add(rows.get(name, []))
        self._forget(forgotten)
        self.derive(besides)

    @abstractmethod
    def derive(self, besides: Mapping[str, Any]) -> None:
        """Derive from the state of a snapshot, which has been taken over, what is not in it; `besides` as it was."""
