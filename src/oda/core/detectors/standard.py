"""A quantity against its own past: its distance from its running mean, in running standard deviations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

_FIRST = 50
"""Values of which a mean and a variance are learned before anything is judged."""
_CLIP = 5.0
"""Standard deviations: no value teaches more than that, unless it is the first that is another."""
_FLOOR = 1e-9
"""Least standard deviation, as a part of the mean: below it are rounding errors."""


def standardise(moments: Column, learned: Column, values: Column, memory: float, first: float = _FIRST) -> Column:
    """The distances of values from their means, in standard deviations; 0 for the first ones. Then learns from them.

    By a distance `d`, clipped, and a gain `g`: `mean + g * d`, `(1 - g) * (variance + g * d * d)`, in this order; `g`
    is `1 / k` for the k-th value, and `1 / memory` at least. The first that is another than all before is not clipped.

    Args:
        moments: shape (2, ..., n): mean and variance of each quantity; changed in place.
        learned: shape (n,): how many values of each went into them.
        values: shape (..., n).
        first: how many values are learned before one is judged.
        memory: values after which the past is forgotten, as time constant.
    """
    mean, variance = moments
    distance = values - mean
    deviation = np.maximum(np.sqrt(variance), _FLOOR * np.abs(mean))
    early = learned < first
    z: Column = np.zeros_like(distance)
    with np.errstate(divide="ignore"):  # what never varied is infinitely far away
        np.divide(distance, deviation, out=z, where=(distance != 0) & ~early)
    largest = np.where(early | (variance == 0), np.inf, _CLIP * deviation)
    np.clip(distance, -largest, largest, out=distance)
    gain = np.maximum(1 / (learned + 1), 1 / memory)
    mean += gain * distance
    variance[:] = (1 - gain) * (variance + gain * distance * distance)
    return z
