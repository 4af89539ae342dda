"""A level that has changed for longer than a window."""

from __future__ import annotations

from math import fsum, sqrt
from typing import Annotated

import msgspec
from pydantic import Field

from oda.core.detectors.contract import Finding, Parameters, TailSigmas, WindowDetector
from oda.core.detectors.tail import limit, score_of
from oda.core.kinds import ClosedWindow


class LevelParameters(Parameters):
    """How rare a change of level is, and which windows are compared."""

    sigmas: TailSigmas = Field(4.0, description="how rare a finding is, as standard deviations of normal noise")
    recent: Annotated[int, Field(ge=2, le=1000)] = Field(
        5, description="newest windows, which are compared with those before"
    )
    before: Annotated[int, Field(ge=2, le=1000)] = Field(30, description="most windows of before that are remembered")
    min_before: Annotated[int, Field(ge=2)] = Field(10, description="windows of before without which none is compared")


class Means(msgspec.Struct, array_like=True):
    """The means of the latest windows, oldest first."""

    means: list[float] = []


class Level(WindowDetector[LevelParameters, Means]):
    """Student's two-sample t test of the newest windows' means against those of the windows before.

    `t = (a - b) / (s * sqrt(1/n + 1/m))`, `s` the standard deviation pooled, with n + m - 2 degrees of freedom
    (Student, "The probable error of a mean", 1908); what `a - b` is divided by is computed as `sqrt((squares before +
    newest) / freedom * (1/n + 1/m))`. After a finding the newest windows are all that is remembered, so a step is one
    finding. The promised rate is that of each window's test, and holds for means that are independent and around one
    level: of slow waves there are more. So there are of small windows of skewed noise: of log-normal, at 4 sigma, 7
    times as many with 2 readings a window, 3.5 times with 20, and with 100 within a factor of 2.

    >>> level, state = Level(LevelParameters(recent=3, min_before=4)), Means()
    >>> for at, mean in enumerate([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 9.0, 8.0, 9.0, 8.0]):
    ...     window = ClosedWindow("pump", at, at + 1, 5, mean, 0.0, at, at, at + 1, "data", 0)
    ...     found = level.check(state, window)
    ...     if found:
    ...         print(at, round(found.value, 2), found.expected, round(found.high, 2), found.score)
    8 8.67 1.5 4.83 64.3
    """

    name = "level/1"
    Parameters = LevelParameters
    State = Means

    def check(self, state: Means, window: ClosedWindow) -> Finding | None:
        rules = self.parameters
        state.means.append(window.mean)
        del state.means[: -(rules.before + rules.recent)]
        before, recent = state.means[: -rules.recent], state.means[-rules.recent :]
        if len(before) < rules.min_before:
            return None
        (level, squares), (now, more) = _moments(before), _moments(recent)
        freedom = len(before) + len(recent) - 2
        scale = sqrt((squares + more) / freedom * (1 / len(before) + 1 / len(recent)))
        allowed = limit(rules.sigmas, freedom) * scale
        if not abs(now - level) > allowed:  # nothing passes an infinite limit times 0, which is no number
            return None
        state.means = recent
        score = score_of((now - level) / scale, freedom) if scale else 100.0
        return Finding(now, level, level - allowed, level + allowed, score)


def _moments(values: list[float]) -> tuple[float, float]:
    """Their mean, and the sum of the squared distances from it; sums are exact, rounded once.

    The mean is counted from the first value, so that the mean of equal values is that value: else rounding errors,
    which are small and all alike, would be a change of level.
    """
    mean = values[0] + fsum(value - values[0] for value in values) / len(values)
    return mean, fsum((value - mean) * (value - mean) for value in values)
