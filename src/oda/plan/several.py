"""What it costs that workers, or a store's nodes, are several: from runs with one and with more. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from statistics import fmean
from typing import NamedTuple

from oda.plan.measured import NodeRun, ScaleRun


class Spread(NamedTuple):
    """What a store takes more where its nodes are several.

    Attributes:
        apart: where they are many, as a share of what it takes on one.
        copy: for each further copy of a row, as a share of the first.
    """

    apart: float
    copy: float

    def copies(self, number: int) -> float:
        """What so many copies take, in what one does.

        >>> Spread(apart=0.1, copy=0.5).copies(3)
        2.0
        """
        return 1 + self.copy * (number - 1)


def machines(cores: float, of_each: float, apart: float) -> int:
    """So many that these, with so many cores of each, have room for what would take so many in one.

    >>> machines(9.0, 4.8, apart=0.0), machines(9.0, 4.8, apart=0.5)
    (2, 3)
    """
    return next(n for n in count(1) if cores * (1 + apart * _away(n)) <= n * of_each)


def _away(machines: int) -> float:
    """Of what goes to any of them alike, as a worker's acknowledgements do, how much goes to another one.

    >>> [_away(machines) for machines in (1, 2, 4)]
    [0.0, 0.5, 0.75]
    """
    return 1 - 1 / machines


def apart(runs: list[ScaleRun]) -> float:
    """Mean over the runs with more than one worker, each beside those of one worker and as many series; 0 of none."""
    alone = {
        series: fmean(run.core_seconds for run in runs if run.workers == 1 and run.series == series)
        for series in {run.series for run in runs}
    }
    return _more((run.workers, run.core_seconds / alone[run.series]) for run in runs)


def spread(runs: list[NodeRun]) -> Spread:
    """Of one store's runs, each beside those of one node.

    Without any, a copy is taken to cost as much as the first, and nodes to know nothing of each other.
    """
    if not runs:
        return Spread(0.0, 1.0)
    alone = fmean(run.core_seconds for run in runs if run.nodes == 1)
    more = _more((run.nodes, run.core_seconds / alone) for run in runs if run.copies == 1)
    ratios = [(run.copies, run.core_seconds / alone / (1 + more * _away(run.nodes))) for run in runs if run.copies > 1]
    return Spread(more, fmean((ratio - 1) / (copies - 1) for copies, ratio in ratios))


def _more(ratios: Iterable[tuple[int, float]]) -> float:
    """Mean of what it took more on several machines, by how many they were; at least 0, and 0 of none.

    >>> _more([(1, 1.0), (2, 1.25), (3, 1.0)])
    0.25
    """
    found = [(ratio - 1) / _away(machines) for machines, ratio in ratios if machines > 1]
    return max(0.0, fmean(found)) if found else 0.0
