"""The window before, with the threshold that its size asks for."""

from __future__ import annotations

from math import sqrt
from typing import Annotated

from pydantic import Field

from oda.core.detectors.contract import Band, BandDetector, Nothing, Parameters, TailSigmas
from oda.core.detectors.tail import limit
from oda.core.kinds import ClosedWindow


class StudentParameters(Parameters):
    """How rare an anomaly is, and when to judge."""

    sigmas: TailSigmas = Field(4.0, description="how rare an anomaly is, as standard deviations of normal noise")
    min_count: Annotated[int, Field(ge=2)] = Field(2, description="readings without which a window is no baseline")


class Student(BandDetector[StudentParameters, Nothing]):
    """Student's prediction interval of the newest closed window: `abs(value - mean) > t * s * sqrt(1 + 1/n)`.

    `s` is the sample's standard deviation, with n - 1; `t` the quantile of Student's t with n - 1 degrees of freedom
    that normal noise passes as rarely as the normal distribution passes `sigmas`. So the promised rate holds for any n
    >= 2 (Hahn, Meeker, "Statistical Intervals", 1991, section 4.2), for readings that are independent and normal. Of
    noise with heavy tails more is flagged, and the more the rarer the promise; so it is of readings that follow each
    other smoothly.

    >>> window = ClosedWindow("pump", 0, 2000, 9, 10.0, 0.5, 0, 8, 9, "data", 0)  # n, mean, stddev: 9, 10.0, 0.5
    >>> Student(StudentParameters(sigmas=3)).update(Nothing(), window)
    Band(expected=10.0, scale=0.5590169943749475, below=2.390710268556897, above=2.390710268556897, freedom=8)
    """

    name = "student/1"
    Parameters = StudentParameters

    def update(self, state: Nothing, window: ClosedWindow) -> Band | None:  # noqa: ARG002 - it has none
        rules = self.parameters
        if window.count < rules.min_count:
            return None
        return prediction(window.count, window.mean, window.stddev * window.stddev, rules.sigmas)


def prediction(count: float, mean: float, variance: float, sigmas: float) -> Band:
    """The band of one more value of a sample of `count` values, 2 at least; `variance` is the population's, with n.

    Its scale is `sqrt(variance * (count + 1) / (count - 1))`, in this order; its freedom is `count - 1`, rounded down.
    """
    freedom = int(count) - 1
    scale = sqrt(variance * (count + 1) / (count - 1))
    allowed = limit(sigmas, freedom) * scale
    return Band(mean, scale, allowed, allowed, freedom)
