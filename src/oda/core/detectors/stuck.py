"""A sensor that repeats itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field

from oda.core.detectors.contract import Finding, Parameters, WindowDetector
from oda.core.kinds import ClosedWindow


class StuckParameters(Parameters):
    """What is too often."""

    readings: Annotated[int, Field(ge=2)] = Field(60, description="equal readings in a row that are an anomaly")


class Repeated(msgspec.Struct, array_like=True):
    """The value that all readings of the newest windows have, and how many they are; 0 if the newest has several."""

    value: float = 0.0
    readings: int = 0


class Stuck(WindowDetector[StuckParameters, Repeated]):
    """A window all of whose readings are equal (its standard deviation is 0), as the last one of so many in a row.

    The finding's value is how many, its highest usual value one less than what is too often. It is a rule, no estimate,
    so its score is 100. Readings of a window count whole: a row begins and ends with a window.

    >>> stuck, state = Stuck(StuckParameters(readings=10)), Repeated()
    >>> for at in range(3):
    ...     window = ClosedWindow("pump", at, at + 1, 5, 21.5, 0.0, at, at, at + 1, "data", 0)
    ...     print(stuck.check(state, window))
    None
    Finding(value=10, expected=1, low=1, high=9, score=100.0)
    Finding(value=15, expected=1, low=1, high=9, score=100.0)
    """

    name = "stuck/1"
    Parameters = StuckParameters
    State = Repeated

    def check(self, state: Repeated, window: ClosedWindow) -> Finding | None:
        if window.stddev > 0:
            state.readings = 0
            return None
        if window.mean != state.value:
            state.value, state.readings = window.mean, 0
        state.readings += window.count
        too_many = self.parameters.readings
        if state.readings < too_many:
            return None
        return Finding(state.readings, 1, 1, too_many - 1, 100.0)
