"""One number of many windows.

Members are merged in the order of their places in the log, by plain sums one after the other: so the number does not
depend on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor, sqrt

import msgspec

from oda.core.reading import MAX_VALUE


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a member until its group's window closes."""

    partition: int
    first_offset: int
    series: str
    count: int
    mean: float
    stddev: float
    is_anomalous: bool

    @property
    def place(self) -> tuple[int, int]:
        """In the log; no other member of the group has the same."""
        return self.partition, self.first_offset


def value_of(aggregate: str, rows: Sequence[Row], late: int) -> float:
    """The number that an aggregate makes of a window's members, in any order.

    Args:
        aggregate: as in `Definition`.
        rows: one at least; of a member several, if its windows are shorter than the group's.
        late: members that came too late since the group's window before.

    >>> value_of("mean", [Row(0, 7, "a", 1, 4.0, 0.0, False), Row(0, 3, "b", 3, 8.0, 0.0, False)], 0)
    7.0
    """
    rows = sorted(rows, key=lambda row: row.place)
    name, _, parameter = aggregate.partition(":")
    if name == "late":
        found = float(late)
    elif name == "quantile":
        found = _quantile(sorted(_means(rows)), float(parameter))
    else:
        found = float(_AGGREGATES[name](rows))
    return max(-MAX_VALUE, min(MAX_VALUE, found))


def members_of(rows: Sequence[Row]) -> int:
    """How many series they are of."""
    return len({row.series for row in rows})


def _mean(rows: Sequence[Row]) -> float:
    """Of all readings; of one window its own, to the last bit."""
    shift, total, count = rows[0].mean, 0.0, 0
    for row in rows:
        total += row.count * (row.mean - shift)
        count += row.count
    return shift + total / count


def _stddev(rows: Sequence[Row]) -> float:
    """Of all readings, the population's."""
    mean, squares, count = _mean(rows), 0.0, 0
    for row in rows:
        distance = row.mean - mean
        squares += row.count * (row.stddev * row.stddev + distance * distance)
        count += row.count
    return sqrt(squares / count)


def _means(rows: Sequence[Row]) -> list[float]:
    """Of each member, in the order of their first windows."""
    by_series: dict[str, list[Row]] = {}
    for row in rows:
        by_series.setdefault(row.series, []).append(row)
    return [_mean(of_series) for of_series in by_series.values()]


def _sum(rows: Sequence[Row]) -> float:
    total = 0.0
    for mean in _means(rows):
        total += mean
    return total


def _quantile(means: Sequence[float], share: float) -> float:
    at = share * (len(means) - 1)
    low = floor(at)
    if low + 1 == len(means):
        return means[low]
    return means[low] + (means[low + 1] - means[low]) * (at - low)


def _anomalous(rows: Sequence[Row]) -> float:
    return len({row.series for row in rows if row.is_anomalous}) / members_of(rows)


_AGGREGATES: Mapping[str, Callable[[Sequence[Row]], float]] = {
    "mean": _mean,
    "sum": _sum,
    "minimum": lambda rows: min(_means(rows)),
    "maximum": lambda rows: max(_means(rows)),
    "stddev": _stddev,
    "members": members_of,
    "readings": lambda rows: sum(row.count for row in rows),
    "anomalous": _anomalous,
}
