"""What a twin is: a detector a second time, for one series, one value at a time, with its own memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from oda.core.kinds import ClosedWindow

Band = tuple[float, float, float, float, float]
"""Expected, scale, below, above, degrees of freedom."""
Finding = tuple[float, float, float, float, float]
"""Value, expected, low, high, score."""
Scored = tuple[bool, float, float, float, float]
"""Alarm, score, expected, low, high."""


class Twin:
    """Of one series and one watch.

    Attributes:
        parameters: an object with the fields that the detector documents.
    """

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters


class BandTwin(Twin, ABC):
    @abstractmethod
    def learn(self, window: ClosedWindow) -> Band | None:
        """What applies to the readings from `window.closed_at` on; None if none is judged."""


class WindowTwin(Twin, ABC):
    @abstractmethod
    def look(self, window: ClosedWindow) -> Finding | None:
        """What is wrong with the window."""


class ScoreTwin(Twin, ABC):
    @abstractmethod
    def read(self, value: float) -> Scored:
        """What is said of the series' next reading."""
