"""D5: local deviation, slow means, and nearest neighbours of short windows, as one score. About 13 kB a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oda.core.detectors.d1 import HIGHEST, MEMORY, local_deviation
from oda.core.detectors.neighbours import BLOCKS, Neighbours
from oda.core.detectors.standard import standardise
from oda.core.detectors.stepwise import AlarmParameters, Step, Stepwise, Threshold, gain

Column = NDArray[np.float64]

_MEANS = np.array([[gain(8)], [gain(16)]])
_WEIGHTS = (1.0, 0.5, 0.5)
"""Of the local deviation, and of the means."""
_SHAPES = (
    (Neighbours(2, 4, MEMORY / 2), 0.5),
    (Neighbours(4, 8, MEMORY / 4), 1.0),
    (Neighbours(8, 8, MEMORY / 8), 1.0),
)
_ALL_WEIGHTS = 4.5
_BEFORE_SHAPES = 10
"""Numbers of a series: slow mean, energy, two means; means and variances of three quantities."""


class D5Parameters(AlarmParameters):
    """The threshold was set on the 25 files of NAB that are in `shared/nab`, for all of them together."""

    threshold: Threshold = Field(0.9, description="score of an alarm")


class D5(Stepwise[D5Parameters]):
    """The score is `sqrt(sum(w * min(z, 4)^2) / 4.5)` over six kinds of evidence that something is new.

    - `|z(q)|` of the local deviation, as of `d1/1` (w 1);
    - `|z|` of the exponential mean over 8 readings, and of that over 16 (w 0.5 each);
    - `max(z, 0)` of the distance of the latest window of block means to its nearest neighbour among the last 512 blocks
      of 2, 4, 8 readings, for windows of 4, 8, 8 of them (w 0.5, 1, 1; see `neighbours`).

    `z(y)` is the distance of a quantity from its running mean in running standard deviations, before it is learned.
    When a score is an alarm: see `AlarmParameters`. There is no promised rate of false alarms: see docs/detectors.md
    for what was measured. Designed on the 25 files of NAB (Lavin, Ahmad, 2015) that are in `shared/nab`.

    >>> d5, random = D5(D5Parameters(threshold=2.5)), np.random.default_rng(1)
    >>> values = np.concatenate([random.normal(size=600), random.normal(8, 1, 20)])
    >>> scored = d5.score([d5.State()], np.zeros(620, np.intp), values)
    >>> np.flatnonzero(scored.alarms).tolist()
    [601]
    """

    name = "d5/1"
    Parameters = D5Parameters

    def new(self) -> Column:
        shape = np.concatenate([np.zeros(5), np.full(BLOCKS, np.inf)])
        return np.concatenate([np.zeros(_BEFORE_SHAPES), *[shape for _ in _SHAPES]])

    def step(self, numbers: Column, seen: Column, values: Column) -> Step:
        moments = numbers[4:_BEFORE_SHAPES].reshape(2, 3, -1)
        expected, deviation = local_deviation(numbers[:2], seen, values)
        means = numbers[2:4]
        means += np.maximum(_MEANS, 1 / seen) * (values - means)
        quantities = np.stack([deviation, *means])
        evidence = np.abs(standardise(moments, seen - 1, quantities, MEMORY))
        total = np.zeros(len(values))
        for z, weight in zip(evidence, _WEIGHTS, strict=True):
            total += weight * _squared(z)
        at = _BEFORE_SHAPES
        for shape, weight in _SHAPES:
            total += weight * _squared(shape.step(numbers[at : at + shape.size], seen, values))
            at += shape.size
        return Step(np.sqrt(total / _ALL_WEIGHTS), expected, moments[0, 0])


def _squared(z: Column) -> Column:
    highest: Column = np.minimum(z, HIGHEST)
    return highest * highest
