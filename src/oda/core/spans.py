"""Times of series that meet others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from oda.core.kinds import Incident


class Spans:
    """Times from first to last, by series: their beginnings, and the latest end of any that began until then."""

    def __init__(self, found: Iterable[tuple[str, int, int]]) -> None:
        self._begins: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for series, first, last in sorted(found):
            ends = self._ends.setdefault(series, [])
            ends.append(max([last, *ends[-1:]]))
            self._begins.setdefault(series, []).append(first)

    @classmethod
    def of(cls, incidents: Sequence[Incident]) -> Spans:
        """From their first anomalies to their last."""
        return cls((one.series, one.time, one.last_time) for one in incidents)

    def meet(self, series: str, first: int, last: int) -> bool:
        """Whether any of the series has some time in common with these."""
        before = bisect_right(self._begins.get(series, []), last)
        return before > 0 and self._ends[series][before - 1] >= first
