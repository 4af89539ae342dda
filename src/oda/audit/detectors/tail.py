"""Probabilities, as the detectors round them: quantiles to 9 significant digits, scores to 2 decimals."""

from __future__ import annotations

from math import erfc, inf, log10, sqrt
from typing import Any


def score(distance: float, scale: float, freedom: float) -> float:
    """How improbable noise is that gets so far, on either side, in decibels; at most 100.

    Args:
        scale: what the distance is measured in; 0 of what has never varied.
        freedom: degrees of freedom of Student's t; infinite for the normal distribution.
    """
    if scale == 0.0:
        return 100.0
    away = abs(distance / scale)
    probability = beyond(away) if freedom == inf else 2.0 * float(_scipy().stdtr(freedom, -away))
    if probability == 0.0:
        return 100.0
    return min(round(-10.0 * log10(probability), 2), 100.0)


def beyond(sigmas: float) -> float:
    """The part of the normal distribution that is further away than so many standard deviations."""
    return erfc(sigmas / sqrt(2.0))


def quantile(sigmas: float, freedom: int) -> float:
    """Where Student's t has as much beyond it as the normal distribution has beyond `sigmas`."""
    return _nine_digits(-_scipy().stdtrit(freedom, beyond(sigmas) / 2.0))


def variance_quantile(count: int, part: float) -> float:
    """Below it is that part of the population variances of `count` normal readings whose true variance is 1."""
    return _nine_digits(_scipy().chdtri(count - 1, 1.0 - part) / count)


def _scipy() -> Any:
    """Its special functions, once they are needed: each command would wait a fifth of a second for them."""
    import scipy.special

    return scipy.special


def _nine_digits(number: float) -> float:
    return float(f"{number:.9g}")
