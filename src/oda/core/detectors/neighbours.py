"""Nearest neighbours: how far the latest short window of block means is from the most similar one of before.

What a series has done before, in whatever shape, has near neighbours; what is new has none (discords: Keogh, Lin, Fu,
"HOT SAX: efficiently finding the most unusual time series subsequence", 2005).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.detectors.standard import standardise

Column = NDArray[np.float64]

BLOCKS = 512
"""Block means that are kept of a series."""

_FIRST = 6
"""Distances of which their mean and variance are learned before one is judged."""


class Neighbours(NamedTuple):
    """One resolution: readings in a block, blocks in a window, distances in which the usual distance is forgotten."""

    readings: int
    blocks: int
    memory: float

    @property
    def size(self) -> int:
        """Numbers of a series: sum of the open block, blocks so far, moments of the distances, newest z, the blocks."""
        return 5 + BLOCKS

    def step(self, numbers: Column, seen: Column, values: Column) -> Column:
        """The latest windows' distances in standard deviations above their mean; they stay while a block is open.

        Args:
            numbers: shape (size, n); changed in place.
            seen: shape (n,): readings of each series up to this one.
            values: shape (n,).
        """
        numbers[0] += values
        whole = np.flatnonzero(seen % self.readings == 0)
        if len(whole):
            numbers[:, whole] = self._close(numbers[:, whole])
        newest: Column = np.maximum(numbers[4], 0)
        return newest

    def _close(self, numbers: Column) -> Column:
        total, closed = numbers[:2]
        blocks = numbers[5:]
        blocks[:-1] = blocks[1:]
        blocks[-1] = total / self.readings
        total[:] = 0
        closed += 1
        enough = closed >= 2 * self.blocks
        if enough.any():
            learned = np.maximum(closed - 2 * self.blocks, 0)
            some = numbers[:, enough]
            some[4] = standardise(some[2:4], learned[enough], self._nearest(some[5:]), self.memory, _FIRST)
            numbers[:, enough] = some
        return numbers

    def _nearest(self, blocks: Column) -> Column:
        """Root mean square distance of the latest window to the nearest one that does not overlap it; shape (n,).

        Sums go block by block in one order, so that they are the same bits for a series alone and among others.
        """
        length = self.blocks
        squares = np.zeros((BLOCKS + 1 - 2 * length, blocks.shape[1]))
        difference = np.empty_like(squares)
        for back in range(length):
            np.subtract(blocks[-1 - back], blocks[length - 1 - back : BLOCKS - length - back], out=difference)
            np.multiply(difference, difference, out=difference)
            squares += difference
        nearest: Column = np.sqrt(squares.min(axis=0) / length)
        return nearest
