"""The judgement of one partition: a state machine over its log, and over the windows that closed along it.

It knows of each series the baseline, which is its newest closed window, and compares all readings of a batch at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import ClassVar

import msgspec

from oda.core.baselines import Baselines, judge
from oda.core.batch import Batch, Closings, Readings
from oda.core.kinds import Anomaly, ClosedWindow, Incident
from oda.core.ledger import Ledger
from oda.core.machine import Machine, OvertakenError
from oda.settings import Judge

Change = tuple[int, ClosedWindow | None]
"""From which offset on a series has which baseline."""


class Judged(msgspec.Struct, array_like=True):
    """What is kept of one series."""

    name: str
    baseline: ClosedWindow


class Judgement(Machine[Judged]):
    """Baselines of one partition; its ledgers are those of `anomalies` and `incidents`.

    Example:
        judgement = Judgement(settings.judge)
        judgement.apply(batch)          # with what the window bolt says that closed along it
        rows = judgement.outputs(batch)["anomalies"]
    """

    name = "judgement"
    state = Judged
    ledger_rows: ClassVar = {"anomalies": Anomaly, "incidents": Incident}

    def __init__(self, settings: Judge, position: int = 0) -> None:
        self._anomalies: Ledger[Anomaly] = Ledger("found_at")
        self._incidents: Ledger[Incident] = Ledger("found_at")
        super().__init__(position, {"anomalies": self._anomalies, "incidents": self._incidents})
        self._settings = settings

    def advance(self, batch: Batch) -> None:
        """Apply what a batch, and what closed along it, has from `position` on.

        Raises:
            OvertakenError: the window bolt has forgotten what closed there, as it was committed meanwhile: by another
                process, which has gone on with the judgement, too.
        """
        if batch.closings.since > self.position:
            raise OvertakenError(f"judged up to {self.position}, but {batch.closings.since} is committed")
        changes: dict[str, list[Change]] = {}
        for series, change in _changes(batch.closings, self.position):
            changes.setdefault(series, []).append(change)
        readings = batch.readings.since(self.position)
        self._anomalies.add(judge(readings, self._baselines(readings, changes), self._settings))
        for name, of_series in changes.items():
            _, last = of_series[-1]
            if last is None:
                self.series.pop(name, None)
            else:
                self.series[name] = Judged(name, last)
        self.changed.update(changes)

    def _baselines(self, readings: Readings, changes: dict[str, list[Change]]) -> Baselines:
        """Of these readings: that of before, and those that take its place."""
        rows: list[tuple[int, int, ClosedWindow | None]] = []
        for index, name in enumerate(readings.names):
            known = self.series.get(name)
            if known is not None:
                rows.append((index, self.position, known.baseline))
            if name in changes:
                rows += ((index, since, window) for since, window in changes[name])
        return Baselines.of(rows)


def _changes(closings: Closings, position: int) -> Iterator[tuple[str, Change]]:
    """Series and what changes for them from `position` on, in the order of the log: closed, then ended."""
    found: list[tuple[int, str, ClosedWindow | None]]
    found = [(window.closed_at, window.series, window) for window in closings.windows]
    if closings.ended:
        found += [(end.offset, end.series, None) for end in closings.ended]
        found.sort(key=itemgetter(0))
    return ((series, (offset, window)) for offset, series, window in found if offset >= position)
