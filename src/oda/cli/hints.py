"""What is worth telling once of a series when its results are looked at: that they are not what they seem."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MEMORY = 100_000
"""Series that are remembered, those that were heard of last."""

ENOUGH_WINDOWS = 3
"""From so many windows on they show what is usual; the first one may be part of one only."""


@dataclass
class _Series:
    """What is known of one series.

    Attributes:
        first: start of its first window, epoch ms.
        readings: in all of its windows.
    """

    partitions: set[int] = field(default_factory=set)
    first: int | None = None
    windows: int = 0
    readings: int = 0
    is_judged: bool = False


class Hints:
    """Tells, once for each series, that it has no baseline, and that it is in several partitions.

    Args:
        min_count: `oda.judge.min_count`.
        tell: gets each hint, a line.

    >>> hints = Hints(min_count=2, tell=print)
    >>> for start in (0, 1_800_000, 3_600_000, 5_400_000):
    ...     hints.window("taxi", 0, start, count=1)
    taxi: no baseline: its windows hold 1 of the 2 readings that oda.judge.min_count asks for, so it is never judged. \
One comes every 1800 s: let oda.window.size_ms hold several
    >>> hints.result("taxi", partition=3)
    taxi: its results are of the partitions 0 and 3, each with windows of its own: it was produced without a key, with \
another partitioner, or before the topic got more partitions. Key each message by its series, as `oda collect` does
    """

    def __init__(self, min_count: int, tell: Callable[[str], None]) -> None:
        self._min_count = min_count
        self._tell = tell
        self._series: OrderedDict[str, _Series] = OrderedDict()

    def window(self, series: str, partition: int, start: int, count: int) -> None:
        """Take note of a closed window; `start` in epoch ms."""
        self.result(series, partition)
        known = self._series[series]
        known.first = start if known.first is None else known.first
        known.windows += 1
        known.readings += count
        known.is_judged = known.is_judged or count >= self._min_count
        if known.windows == ENOUGH_WINDOWS and not known.is_judged:
            seconds = abs(start - known.first) / 1000 / (known.windows - 1) / (known.readings / known.windows)
            self._tell(
                f"{series}: no baseline: its windows hold {known.readings / known.windows:.2g} of the "
                f"{self._min_count} readings that oda.judge.min_count asks for, so it is never judged. "
                f"One comes every {seconds:.4g} s: let oda.window.size_ms hold several"
            )

    def result(self, series: str, partition: int) -> None:
        known = self._series.setdefault(series, _Series())
        self._series.move_to_end(series)
        if len(self._series) > MEMORY:
            self._series.popitem(last=False)
        before = len(known.partitions)
        known.partitions.add(partition)
        if before == 1 and len(known.partitions) == 2:
            one, other = sorted(known.partitions)
            self._tell(
                f"{series}: its results are of the partitions {one} and {other}, each with windows of its own: it was "
                "produced without a key, with another partitioner, or before the topic got more partitions. "
                "Key each message by its series, as `oda collect` does"
            )
