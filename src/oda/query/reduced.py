"""Readings and windows of a span of time, as few as a chart has pixels: all of them, or of each step what is in it.

Pure. Takes any number of readings in bounded memory: as soon as there are more than pixels, only steps are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.kinds import ClosedWindow
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


def fewer_windows(windows: Sequence[ClosedWindow], span: Span) -> list[list[float]]:
    """Start, end, count, mean, stddev of each; of those that begin in one step together, if there are more than steps.

    >>> pair = [ClosedWindow("a", at, at + 5, 2, float(at), 0.0, 0, 1, 2, "data", 0) for at in (0, 4)]
    >>> fewer_windows(pair, Span(0, 20, 2)), fewer_windows(pair, Span(0, 10, 1))
    ([[0, 5, 2, 0.0, 0.0], [4, 9, 2, 4.0, 0.0]], [[0, 9, 4, 2.0, 2.0]])
    """
    rows: list[list[float]] = [[one.start, one.end, one.count, one.mean, one.stddev] for one in windows]
    if len(rows) <= span.pixels:
        return rows
    steps: dict[int, list[float]] = {}
    for row in sorted(rows):
        whole = steps.setdefault(int(row[0] - span.since) // span.step, list(row))
        if whole != row:
            whole[1:] = [max(whole[1], row[1]), *_pooled(whole[2:], row[2:])]
    return list(steps.values())


def _pooled(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Count, mean and stddev of two together (Chan, Golub, LeVeque 1983)."""
    count = one[0] + other[0]
    part = other[0] / count
    apart = other[1] - one[1]
    variance = (1 - part) * one[2] ** 2 + part * other[2] ** 2 + part * (1 - part) * apart**2
    return [count, one[1] + part * apart, sqrt(variance)]
