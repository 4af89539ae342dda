"""Readings whose time is so far ahead of their partition that it is taken for an outlier.

One clock that is wrong for a moment must not close all windows of its series up to a time that has not come. So a
reading that leads its partition's newest time by more than its rule allows is held: kept and judged, but in no window,
and without a word on how far the series has come. Three in a row within that lead of each other are no outliers: a
sensor was away, or the partition stood still. The third one moves the series, and the partition.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings

_IN_A_ROW = 3


class Lead:
    """The newest time of one partition, and times that are held.

    Attributes:
        newest: largest time of a reading that was not held, epoch ms; -1 before the first one.
        held: by series, the times of the newest readings in a row that were held: two at most.
    """

    def __init__(self) -> None:
        self.newest = -1
        self.held: dict[str, list[int]] = {}

    def outliers(self, readings: Readings, leads: Sequence[int | None]) -> list[int]:
        """Which of readings in the order of the log are held, by their indexes.

        Args:
            readings: that follow those of before.
            leads: by how many ms those of each series, as in `readings.names`, may be ahead; None for any.
        """
        times = readings.times
        if self.newest < 0:
            self.newest = int(times[0])
        if any(lead is not None for lead in leads):
            newest = np.maximum.accumulate(np.r_[self.newest, times[:-1]])
            allowed = np.array([np.inf if lead is None else lead for lead in leads])[readings.series]
            if (times - newest > allowed).any():
                return self._one_by_one(readings, allowed)
        self.newest = max(self.newest, int(times.max()))
        if self.held:
            for name in self.held.keys() & _names(readings):
                del self.held[name]
        return []

    def _one_by_one(self, readings: Readings, allowed: NDArray[np.float64]) -> list[int]:
        found = []
        rows = zip(readings.series.tolist(), readings.times.tolist(), allowed.tolist(), strict=True)
        for at, (code, time, lead) in enumerate(rows):
            name = readings.names[code]
            if time - self.newest <= lead:
                self.held.pop(name, None)
            else:
                near = [other for other in self.held.get(name, ()) if abs(other - time) <= lead]
                if len(near) + 1 < _IN_A_ROW:
                    self.held[name] = [*near, time]
                    found.append(at)
                    continue
                del self.held[name]
            self.newest = max(self.newest, time)
        return found


def _names(readings: Readings) -> set[str]:
    return {readings.names[code] for code in np.unique(readings.series).tolist()}
