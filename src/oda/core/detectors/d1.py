"""D1: local energy around a slow mean, by a dozen numbers a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oda.core.detectors.standard import standardise
from oda.core.detectors.stepwise import AlarmParameters, Step, Stepwise, gain

Column = NDArray[np.float64]

_HIGHEST = 4.0
_MEMORY = 5000.0
_SLOW, _LOCAL = gain(150), gain(48)


class D1(Stepwise[AlarmParameters]):
    """`q = sqrt(mean48((x - m)^2))`, `m` the mean150 of the readings before; the score is `min(|z(q)|, 4)`."""

    name = "d1/1"
    Parameters = AlarmParameters

    def new(self) -> Column:
        return np.zeros(4)

    def step(self, numbers: Column, seen: Column, values: Column) -> Step:
        mean, energy = numbers[:2]
        np.copyto(mean, values, where=seen == 1)
        expected = mean.copy()
        distance = values - expected
        energy += np.maximum(_LOCAL, 1 / seen) * (distance * distance - energy)
        mean += np.maximum(_SLOW, 1 / seen) * distance
        score = np.minimum(np.abs(standardise(numbers[2:4], seen - 1, np.sqrt(energy), _MEMORY)), _HIGHEST)
        return Step(score, expected, numbers[2])
