"""What a cluster is planned for, with the topology's options as they are by default."""

from __future__ import annotations

from typing import NamedTuple

from oda.settings import Window

_OPTIONS = Window()

WINDOW_SECONDS = _OPTIONS.size_ms / 1000

OPEN_SECONDS = WINDOW_SECONDS + (_OPTIONS.lateness_ms + 2 * _OPTIONS.idle_ms) / 1000
"""From the start of a group's window until it closes, if its rule says nothing of lateness (docs/groups.md)."""


class Density(NamedTuple):
    """What the cost of a reading depends on: how many windows close for each, and how many seconds of a series pass."""

    windows: float
    seconds: float


class Demand(NamedTuple):
    """What is planned for.

    Attributes:
        series: how many.
        rate: readings a second over all of them.
        days: how long everything is kept.
        groups: how many.
        members: series of each.
    """

    series: int
    rate: float
    days: float
    groups: int = 0
    members: float = 0

    @property
    def density(self) -> Density:
        """A window has at least one reading."""
        return Density(min(1.0, self.series / WINDOW_SECONDS / self.rate), self.series / self.rate)

    @property
    def members_windows(self) -> float:
        """Windows a second of all groups' members; who is of two groups counts for each."""
        return self.groups * self.members * self.rate / self.series * self.density.windows

    @property
    def with_derived(self) -> Demand:
        """What groups make goes back into the log: each is a series more, with a reading for each of its windows."""
        derived = min(self.groups / WINDOW_SECONDS, self.members_windows)
        return Demand(self.series + self.groups, self.rate + derived, self.days)
