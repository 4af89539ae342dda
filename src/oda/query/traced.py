"""What applied to the readings of a series in one partition: from when to when, which of them were late. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oda.core.kinds import Bounds
from oda.query.bands import Stretch, derived, stored
from oda.query.reduced import Span
from oda.query.rules import RulesInLog
from oda.stores.archive import Columns


class Traced:
    """Stretches of one partition, and from when to when the readings in each are; `told` are bands that are rows."""

    def __init__(self, parts: Sequence[Stretch], told: Sequence[Bounds]) -> None:
        self.parts = parts
        self._told = told
        self._offsets = np.array([part.since for part in parts], np.int64)
        self._ends = np.array([part.window.end if part.window else 0 for part in parts], np.int64)
        self._first = np.full(len(parts), np.iinfo(np.int64).max)
        self._last = np.full(len(parts), -1)

    def take(self, columns: Columns) -> NDArray[np.bool_]:
        """Take note of readings; returns which of them were late."""
        if not self.parts:
            return np.zeros(len(columns.offsets), bool)
        which = np.searchsorted(self._offsets, columns.offsets, side="right") - 1
        late: NDArray[np.bool_] = (which >= 0) & (columns.times < self._ends[which])
        on_time = (which >= 0) & ~late
        np.minimum.at(self._first, which[on_time], columns.times[on_time])
        np.maximum.at(self._last, which[on_time], columns.times[on_time])
        return late

    def bands(self, name: str, partition: int, span: Span) -> list[dict[str, Any]]:
        """What each stretch with readings allowed, until the next one's first; not more than about pixels."""
        there = np.flatnonzero(self._last >= 0).tolist()
        found: dict[str, list[dict[str, Any]]] = {}
        told = self.told_of(name)
        for number, at in enumerate(there):
            part = self.parts[at]
            following = number + 1 < len(there)
            until = self._first[there[number + 1]].item() if following else self._last[at].item()
            rule = part.rules.of(name)
            for allowed in (*derived(rule, part.window), *stored(rule, told[at])):
                since = self._first[at].item()
                one = {"partition": partition, "since": since, "until": max(since, until), **allowed._asdict()}
                found.setdefault(allowed.detector, []).append(one)
        return [band for bands in found.values() for band in fewer(bands, span)]

    def told_of(self, name: str) -> list[list[Bounds]]:
        """The rows that hold in each stretch: those of its beginning, or of before, if other rules changed nothing."""
        by_offset: dict[int, list[Bounds]] = {}
        for row in self._told:
            by_offset.setdefault(row.since, []).append(row)
        found: list[list[Bounds]] = []
        for number, part in enumerate(self.parts):
            rows_here = by_offset.get(part.since, [])
            if number and not rows_here:
                before = self.parts[number - 1]
                is_same = before.window is part.window and before.rules.of(name) == part.rules.of(name)
                rows_here = found[-1] if is_same else []
            # One record may close several windows: the latest counts.
            latest = max((row.time for row in rows_here), default=0)
            found.append([row for row in rows_here if row.time == latest])
        return found

    def changes(self, rules: RulesInLog, partition: int, span: Span) -> list[dict[str, Any]]:
        """Rules that began to hold within a span, by the first reading that they were for."""
        times = {part.since: self._first[at].item() for at, part in enumerate(self.parts) if self._last[at] >= 0}
        found = [
            {"time": times.get(mark.offset, mark.time), "version": mark.rules.version, "partition": partition}
            for mark in rules.of(partition)
        ]
        return [change for change in found if span.since <= change["time"] < span.until]


def fewer(bands: list[dict[str, Any]], span: Span) -> list[dict[str, Any]]:
    """Of those that begin in one step, if there are more than steps: the widest bounds, and what was expected first."""
    if len(bands) <= span.pixels:
        return bands
    steps: dict[int, dict[str, Any]] = {}
    for band in bands:
        step = (band["since"] - span.since) // span.step
        whole = steps.setdefault(step, dict(band))
        for bound, widest in (("low", min), ("high", max)):
            if whole[bound] is not None and band[bound] is not None:
                whole[bound] = widest(whole[bound], band[bound])
        whole["until"] = max(whole["until"], band["until"])
    return list(steps.values())
