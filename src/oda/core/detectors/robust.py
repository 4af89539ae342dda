"""Several windows as one baseline, without those that are unlike the others."""

from __future__ import annotations

from math import fsum
from statistics import median
from typing import Annotated

import msgspec
from pydantic import Field

from oda.core.detectors.contract import Band, BandDetector, Parameters, Sigmas, TailSigmas
from oda.core.detectors.student import prediction
from oda.core.detectors.tail import of_variance, tail
from oda.core.kinds import ClosedWindow

_TO_DEVIATION = 1.4826
"""The standard deviation of normal noise over its median absolute deviation."""


class RobustParameters(Parameters):
    """How rare an anomaly is, and what the baseline is."""

    sigmas: TailSigmas = Field(4.0, description="how rare an anomaly is, as standard deviations of normal noise")
    windows: Annotated[int, Field(ge=3, le=1000)] = Field(20, description="closed windows that are remembered")
    min_windows: Annotated[int, Field(ge=3, le=1000)] = Field(10, description="windows before the first band")
    outlier: Sigmas = Field(
        4.0, description="robust standard deviations from the median beyond which a window is left out of the baseline"
    )


class Moments(msgspec.Struct, array_like=True):
    """Of the latest windows, oldest first: readings, mean, and variance of the population."""

    windows: list[tuple[int, float, float]] = []


class Robust(BandDetector[RobustParameters, Moments]):
    """Student's prediction interval of the readings of the last K windows, those left out that are unlike the others.

    A window is left out if its mean is further than `outlier` from the median of the means, in 1.4826 times their
    median absolute deviation (MAD; Hampel, "The influence curve and its role in robust estimation", 1974), or if its
    variance is larger than the median of the variances by more than chance. What is left counts as one window. So a
    spike does not hide what follows, and a new level becomes the baseline when more than half of the windows have it.

    The promised rate holds for independent normal readings around one level for all of the K windows. A slow drift
    widens the band; a fast one leaves windows out and makes anomalies, until most of the windows have the new level.
    Of noise with heavy tails more is flagged, with few readings a window more than by `student/1`.

    >>> robust, state = Robust(RobustParameters(windows=5, min_windows=3)), Moments()
    >>> for at, mean in enumerate([10.0, 10.5, 9.5, 90.0]):
    ...     window = ClosedWindow("pump", at, at + 1, 9, mean, 0.5, at, at, at + 1, "data", 0)
    ...     band = robust.update(state, window)
    >>> band.expected, round(band.above, 2), band.freedom
    (10.0, 3.19, 26)
    """

    name = "robust/1"
    Parameters = RobustParameters
    State = Moments

    def update(self, state: Moments, window: ClosedWindow) -> Band | None:
        rules = self.parameters
        state.windows = [*state.windows, (window.count, window.mean, window.stddev * window.stddev)][-rules.windows :]
        if len(state.windows) < rules.min_windows:
            return None
        return _pooled(_alike(state.windows, rules.outlier), rules.sigmas)


def _alike(windows: list[tuple[int, float, float]], outlier: float) -> list[tuple[int, float, float]]:
    """Those that are like most."""
    middle = median(mean for _, mean, _ in windows)
    apart = outlier * _TO_DEVIATION * median(abs(mean - middle) for _, mean, _ in windows)
    true = median(variance / of_variance(count, 0.5) if count > 1 else 0.0 for count, _, variance in windows)
    part = 1 - tail(outlier) / 2
    return [
        (count, mean, variance)
        for count, mean, variance in windows
        if abs(mean - middle) <= apart and (variance == 0 or variance <= true * of_variance(count, part))
    ]


def _pooled(windows: list[tuple[int, float, float]], sigmas: float) -> Band | None:
    """The band of the readings of several windows together.

    Their mean is `sum(n * m) / N`, their variance `sum(n * (v + (m - mean)^2)) / N`; sums are exact, rounded once.
    """
    total = sum(count for count, _, _ in windows)
    if total < 2:
        return None
    mean = fsum(count * mean for count, mean, _ in windows) / total
    squares = fsum(count * (variance + (its - mean) * (its - mean)) for count, its, variance in windows)
    return prediction(total, mean, squares / total, sigmas)
