"""The reference's windows that still take readings."""

from __future__ import annotations

from math import sqrt
from typing import Literal

from oda.core.kinds import ClosedWindow


class OpenWindow:
    """One that still takes readings.

    Sums are shifted by the window's first value, so they stay exact to a factor of the count however
    far the values are from zero (Chan, Golub, LeVeque 1983: "Algorithms for computing the sample variance").
    """

    __slots__ = ("count", "first_offset", "last_offset", "s1", "s2", "shift")

    def __init__(self, offset: int, value: float) -> None:
        self.first_offset = offset
        self.shift = value
        self.count = 0
        self.s1 = 0.0
        self.s2 = 0.0

    def add(self, offset: int, value: float) -> None:
        difference = value - self.shift
        self.s1 += difference
        self.s2 += difference * difference
        self.count += 1
        self.last_offset = offset

    def mean(self) -> float:
        return self.shift + self.s1 / self.count

    def stddev(self) -> float:
        return sqrt(max(0.0, (self.s2 - self.s1 * self.s1 / self.count) / self.count))

    def closed(
        self,
        name: str,
        start: int,
        end: int,
        at: int,
        cause: Literal["data", "clock", "rules"],
        late: int,
        ahead: int,
        version: int,
    ) -> ClosedWindow:
        """Its row."""
        return ClosedWindow(
            name,
            start,
            end,
            self.count,
            self.mean(),
            self.stddev(),
            self.first_offset,
            self.last_offset,
            closed_at=at,
            closed_by=cause,
            late=late,
            ahead=ahead,
            rules=version,
        )
