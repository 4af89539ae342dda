"""Readings beyond so many standard deviations of the window before: ODA's first rule."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oda.core.detectors.contract import ANYTHING, Band, BandDetector, Nothing, Parameters, Sigmas
from oda.core.kinds import ClosedWindow


class SigmaParameters(Parameters):
    """The options of `oda.judge`, and their defaults."""

    sigmas: Sigmas = Field(4.0, description="standard deviations that a reading may be away from the mean")
    min_count: Annotated[int, Field(gt=0)] = Field(2, description="readings without which a window is no baseline")
    min_stddev: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="least standard deviation, in the unit of the values: a flat line allows that much"
    )


class Sigma(BandDetector[SigmaParameters, Nothing]):
    """`abs(value - mean) > sigmas * max(stddev, min_stddev)` of the newest closed window, of its population.

    The rate that `sigmas` promises (0.006 % with 4) holds for normal noise and large windows only: with n = 20 readings
    in the window 0.1 % of the noise is flagged, with 5 it is 3 %, with 2 it is 26 %. `student/1` keeps it with any n.

    >>> window = ClosedWindow("pump", 0, 2000, 9, 10.0, 0.5, 0, 8, 9, "data", 0)  # n, mean, stddev: 9, 10.0, 0.5
    >>> Sigma(SigmaParameters(sigmas=3)).update(Nothing(), window)
    Band(expected=10.0, scale=0.5, below=1.5, above=1.5, freedom=inf)
    """

    name = "sigma/1"
    Parameters = SigmaParameters

    def update(self, state: Nothing, window: ClosedWindow) -> Band | None:  # noqa: ARG002 - it has none
        rules = self.parameters
        if window.count < rules.min_count:
            return None
        scale = max(window.stddev, rules.min_stddev)
        allowed = rules.sigmas * scale
        return Band(window.mean, scale, allowed, allowed, inf)

    def allowed(self, windows: Sequence[ClosedWindow]) -> NDArray[np.float64]:
        """As columns: most series are judged by this one, and each closed window asks."""
        rules = self.parameters
        means = np.array([window.mean for window in windows])
        allowed = rules.sigmas * np.maximum(np.array([window.stddev for window in windows]), rules.min_stddev)
        is_judged = np.array([window.count for window in windows]) >= rules.min_count
        expected, below, above = ANYTHING
        return np.array(
            [
                np.where(is_judged, means, expected),
                np.where(is_judged, allowed, below),
                np.where(is_judged, allowed, above),
            ]
        )
