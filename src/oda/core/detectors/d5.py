"""D5: local energy, slow means, and nearest neighbours of short windows, as one score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oda.core.detectors.neighbours import BLOCKS, Neighbours
from oda.core.detectors.standard import standardise
from oda.core.detectors.stepwise import AlarmParameters, Step, Stepwise, gain

Column = NDArray[np.float64]

_HIGHEST = 4.0
_MEMORY = 5000.0
_SLOW, _LOCAL = gain(150), gain(48)
_MEANS = ((gain(8), 0.5), (gain(16), 0.5))
_SHAPES = (
    (Neighbours(2, 4, _MEMORY / 2), 0.5),
    (Neighbours(4, 8, _MEMORY / 4), 1.0),
    (Neighbours(8, 8, _MEMORY / 8), 1.0),
)
_WEIGHTS = 4.5


class D5Parameters(AlarmParameters):
    threshold: float = Field(0.9, gt=0, description="score of an alarm")


class D5(Stepwise[D5Parameters]):
    name = "d5/1"
    Parameters = D5Parameters

    def new(self) -> Column:
        shape = np.concatenate([np.zeros(5), np.full(BLOCKS, np.inf)])
        return np.concatenate([np.zeros(10), *[shape for _ in _SHAPES]])

    def step(self, numbers: Column, seen: Column, values: Column) -> Step:
        mean, energy = numbers[:2]
        np.copyto(mean, values, where=seen == 1)
        expected = mean.copy()
        distance = values - expected
        energy += np.maximum(_LOCAL, 1 / seen) * (distance * distance - energy)
        mean += np.maximum(_SLOW, 1 / seen) * distance
        learned = seen - 1
        z = np.minimum(np.abs(standardise(numbers[2:4], learned, np.sqrt(energy), _MEMORY)), _HIGHEST)
        total = z * z
        at = 4
        for fast, weight in _MEANS:
            numbers[at] += np.maximum(fast, 1 / seen) * (values - numbers[at])
            z = np.minimum(np.abs(standardise(numbers[at + 1 : at + 3], learned, numbers[at], _MEMORY)), _HIGHEST)
            total += weight * (z * z)
            at += 3
        for shape, weight in _SHAPES:
            z = np.minimum(shape.step(numbers[at : at + shape.size], seen, values), _HIGHEST)
            total += weight * (z * z)
            at += shape.size
        return Step(np.sqrt(total / _WEIGHTS), expected, numbers[2])
