"""A series that sends more, or less, than it used to."""

from __future__ import annotations

from math import fsum
from typing import Annotated

import msgspec
from pydantic import Field

from oda.core.detectors.contract import Finding, Parameters, TailSigmas, WindowDetector
from oda.core.detectors.student import prediction
from oda.core.detectors.tail import score_of
from oda.core.kinds import ClosedWindow


class RateParameters(Parameters):
    """How rare a finding is, and which windows are compared."""

    sigmas: TailSigmas = Field(4.0, description="how rare a finding is, as standard deviations of normal noise")
    windows: Annotated[int, Field(ge=2, le=1000)] = Field(60, description="most windows of before that are remembered")
    min_windows: Annotated[int, Field(ge=2)] = Field(10, description="windows of before without which none is judged")
    min_stddev: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0, description="least standard deviation, in readings: one may fall into the window beside its own"
    )


class Counts(msgspec.Struct, array_like=True):
    """The numbers of readings of the latest whole windows, oldest first, and where the newest window ended, in epoch
    ms."""

    counts: list[int] = []
    end: int = -1


class Rate(WindowDetector[RateParameters, Counts]):
    """Student's prediction interval of the number of readings in a window, by those in the windows before.

    `abs(count - mean) > t * max(s, min_stddev) * sqrt(1 + 1/n)`. Only windows that are whole count: that have one just
    before them, and that data have closed. Windows without readings do not close: that is what `silent/1` is for.
    Numbers are no normal noise: the promised rate holds for series that send regularly, and for arrivals at random
    (Poisson) if a window has a hundred or more. Below that more is flagged: of 4 sigma 2.5 times as much with 20
    readings a window, 6 times with 5, 13 times with 2.

    >>> rate, state = Rate(RateParameters(min_windows=5)), Counts()
    >>> for at, count in enumerate([3, 20, 20, 21, 19, 20, 20, 20, 5]):
    ...     window = ClosedWindow("pump", at, at + 1, count, 1.0, 0.0, at, at, at + 1, "data", 0)
    ...     found = rate.check(state, window)
    >>> found.value, found.expected, round(found.low, 2), found.score
    (5, 20.0, 9.48, 50.88)
    """

    name = "rate/1"
    Parameters = RateParameters
    State = Counts

    def check(self, state: Counts, window: ClosedWindow) -> Finding | None:
        rules = self.parameters
        follows, state.end = state.end == window.start, window.end
        if not follows or window.closed_by == "clock":
            return None
        before = state.counts
        state.counts = [*before, window.count][-rules.windows :]
        if len(before) < rules.min_windows:
            return None
        n, mean = len(before), sum(before) / len(before)
        least = rules.min_stddev * rules.min_stddev * (n - 1) / n
        variance = max(fsum((count - mean) * (count - mean) for count in before) / n, least)
        band = prediction(n, mean, variance, rules.sigmas)
        if not abs(window.count - mean) > band.above:  # an infinite limit times 0 is no number
            return None
        score = score_of((window.count - mean) / band.scale, band.freedom) if band.scale else 100.0
        return Finding(window.count, mean, mean - band.below, mean + band.above, score)
