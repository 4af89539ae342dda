"""Readings that come too late for their window, as in a file whose newest rows are first: told to who sends them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from oda.core.reading import Reading
from oda.settings import Window

MEMORY = 100_000
"""Series whose largest time is remembered, those that were heard of last."""


class Late:
    """Counts the readings that the topology will count as late: their series has one that closed their window.

    Attributes:
        count: how many.
        total: of how many.

    >>> late = Late(Window(size_ms=1000))
    >>> for time in (5000, 4000, 3999, 5001, 4999):
    ...     late.add(Reading("pump-7", time, 3.25))
    >>> late.count, late.total
    (3, 5)
    """

    def __init__(self, window: Window) -> None:
        self.count = 0
        self.total = 0
        self._window = window
        self._needed = 0
        self._largest: OrderedDict[str, int] = OrderedDict()

    def add(self, reading: Reading) -> None:
        self.total += 1
        largest = max(self._largest.get(reading.series, 0), reading.time)
        self._largest[reading.series] = largest
        self._largest.move_to_end(reading.series)
        if len(self._largest) > MEMORY:
            self._largest.popitem(last=False)
        size, lateness = self._window.size_ms, self._window.lateness_ms
        if reading.time // size < (largest - lateness) // size:
            self.count += 1
            self._needed = max(self._needed, largest - (reading.time // size + 1) * size + 1)

    def passing(self, scheduled: Iterable[tuple[float, Reading]]) -> Iterator[tuple[float, Reading]]:
        """The same, taken note of."""
        for due, reading in scheduled:
            self.add(reading)
            yield due, reading

    def __str__(self) -> str:
        window = self._window
        return (
            f"{self.count} of {self.total} readings come late: newer ones of their series have closed their windows "
            f"(oda.window.size_ms = {window.size_ms}, oda.window.lateness_ms = {window.lateness_ms}), so they are in "
            f"none. Send them in the order of their times, or set oda.window.lateness_ms to {self._needed} or more"
        )
