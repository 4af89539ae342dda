"""D1: how far readings are from a slow mean just now, against how far they usually are. A few numbers a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oda.core.detectors.standard import standardise
from oda.core.detectors.stepwise import AlarmParameters, Step, Stepwise, Threshold, gain

Column = NDArray[np.float64]

HIGHEST = 4.0
"""Standard deviations: more is no more evidence."""
MEMORY = 5000.0
"""Readings in which the usual values of a quantity are forgotten, as time constant."""
_SLOW, _LOCAL = gain(150), gain(48)


class D1Parameters(AlarmParameters):
    """The threshold was set on the 25 files of NAB that are in `shared/nab`, for all of them together."""

    threshold: Threshold = Field(1.0, description="score of an alarm")


class D1(Stepwise[D1Parameters]):
    """`q = sqrt(mean48((x - m)^2))`, `m` the mean150 of the readings before; the score is `min(|z(q)|, 4)`.

    `mean48` is the exponential mean that forgets with a time constant of 48 readings; `z(q)` the distance of `q` from
    its running mean in running standard deviations, before it is learned: so unusual calm counts, too. When a score is
    an alarm: see `AlarmParameters`. There is no promised rate of false alarms: docs/detectors.md has what was measured.

    >>> d1, random = D1(D1Parameters(threshold=2.5)), np.random.default_rng(1)
    >>> values = np.concatenate([random.normal(size=600), random.normal(8, 1, 20)])
    >>> scored = d1.score([d1.State()], np.zeros(620, np.intp), values)
    >>> np.flatnonzero(scored.alarms).tolist()
    [600]
    """

    name = "d1/1"
    Parameters = D1Parameters

    def new(self) -> Column:
        return np.zeros(4)

    def step(self, numbers: Column, seen: Column, values: Column) -> Step:
        expected, deviation = local_deviation(numbers[:2], seen, values)
        z = standardise(numbers[2:], seen - 1, deviation, MEMORY)
        return Step(np.minimum(np.abs(z), HIGHEST), expected, numbers[2])


def local_deviation(numbers: Column, seen: Column, values: Column) -> tuple[Column, Column]:
    """The slow mean before each reading, and the root mean square distance from it of the readings up to this one.

    Args:
        numbers: shape (2, n): slow mean, mean square distance; changed in place.
        seen: shape (n,): readings of the series up to this one.
        values: shape (n,).
    """
    mean, energy = numbers
    np.copyto(mean, values, where=seen == 1)
    before = mean.copy()
    distance = values - before
    energy += np.maximum(_LOCAL, 1 / seen) * (distance * distance - energy)
    mean += np.maximum(_SLOW, 1 / seen) * distance
    return before, np.sqrt(energy)
