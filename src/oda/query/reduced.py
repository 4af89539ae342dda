"""Readings of a span of time, as few as a chart has pixels: all of them, or of each step mean, least, largest, count.

Pure. Takes any number of readings in bounded memory: as soon as there are more than pixels, only steps are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.stores.archive import Columns


class Span(NamedTuple):
    """`since <= time < until`, epoch ms, on so many pixels."""

    since: int
    until: int
    pixels: int

    @property
    def step(self) -> int:
        """Of a pixel, ms, 1 at least."""
        return max(1, -(-(self.until - self.since) // self.pixels))

    def steps(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of each time's step."""
        numbers: NDArray[np.int64] = (times - self.since) // self.step
        return numbers


class Reduced:
    """Gathers the readings of a span, in any order."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._raw: list[Columns] | None = []
        self._count = 0
        self._sums = np.zeros(span.pixels)
        self._counts = np.zeros(span.pixels, np.int64)
        self._lows = np.full(span.pixels, np.inf)
        self._highs = np.full(span.pixels, -np.inf)

    def take(self, columns: Columns) -> None:
        """Readings within the span."""
        self._count += len(columns.offsets)
        steps = self._span.steps(columns.times)
        np.add.at(self._sums, steps, columns.values)
        np.add.at(self._counts, steps, 1)
        np.minimum.at(self._lows, steps, columns.values)
        np.maximum.at(self._highs, steps, columns.values)
        if self._count > self._span.pixels:
            self._raw = None
        if self._raw is not None:
            self._raw.append(columns)

    def document(self) -> dict[str, Any]:
        """`readings` by time if they are no more than pixels, else `reduced`; the other one is None."""
        if self._raw is not None:
            times = np.concatenate([np.zeros(0, np.int64), *(part.times for part in self._raw)])
            values = np.concatenate([np.zeros(0), *(part.values for part in self._raw)])
            order = np.argsort(times, kind="stable")
            return {
                "readings": {"times": times[order].tolist(), "values": values[order].tolist()},
                "reduced": None,
                "step": self._span.step,
            }
        there = np.flatnonzero(self._counts)
        columns = {
            "times": self._span.since + there * self._span.step,
            "means": self._sums[there] / self._counts[there],
            "lows": self._lows[there],
            "highs": self._highs[there],
            "counts": self._counts[there],
        }
        reduced = {name: column.tolist() for name, column in columns.items()}
        return {"readings": None, "reduced": reduced, "step": self._span.step}
