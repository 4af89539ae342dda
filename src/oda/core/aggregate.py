"""The statistics of a window, folded as its readings come.

They are shifted sums in log order: with K the window's first value, `d = value - K`, `mean = K + sum(d) / n`,
`variance = (sum(d*d) - sum(d)**2 / n) / n`. Since K is one of the values, the condition number is at most n (Chan,
Golub, LeVeque, "Algorithms for computing the sample variance", 1983). Plain sequential sums do not depend on how the
log was cut into batches, so the results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray


class Sums(msgspec.Struct, array_like=True, gc=False):
    """Of a window that has not closed: of `value - shift`, where `shift` is the first value."""

    first_offset: int
    shift: float
    last_offset: int = -1
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def mean(self) -> float:
        return self.shift + self.total / self.count

    def stddev(self) -> float:
        """The population's."""
        return sqrt(max(0.0, (self.squares - self.total * self.total / self.count) / self.count))


def fold(
    sums: Sequence[Sums], group: NDArray[np.intp], values: NDArray[np.float64], offsets: NDArray[np.int64]
) -> None:
    """Add readings to windows.

    Args:
        sums: of the windows, each once.
        group: shape (n,): index into `sums` of each reading, those of a window in the order of the log.
        values: shape (n,).
        offsets: shape (n,).
    """
    delta = values - np.array([window.shift for window in sums])[group]
    last = np.empty(len(sums), np.int64)
    last[group] = offsets  # of equal indexes, the last assignment stays
    counts = np.bincount(group, minlength=len(sums))
    totals = _sums([window.total for window in sums], group, delta)
    squares = _sums([window.squares for window in sums], group, delta * delta)
    rows = zip(sums, last.tolist(), counts.tolist(), totals.tolist(), squares.tolist(), strict=True)
    for window, last_offset, count, total, square in rows:
        window.last_offset = last_offset
        window.count += count
        window.total = total
        window.squares = square


def _sums(so_far: list[float], group: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`so_far[g] += values[i]` for each i with `group[i] == g`, in order, one at a time.

    np.bincount adds sequentially; np.add.reduceat and np.sum add pairwise, in another order.
    """
    sums = np.bincount(np.r_[np.arange(len(so_far)), group], np.r_[so_far, values], len(so_far))
    return sums.astype(np.float64, copy=False)
