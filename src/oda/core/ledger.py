"""The ledger: what a machine has put out and may be asked for again, since its acknowledgement may have got lost."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

Row = TypeVar("Row", bound=msgspec.Struct)


class Ledger(Generic[Row]):
    """Rows of one kind, ascending by the offset of the record that brought each about.

    Args:
        made_at: the field that has this offset.
    """

    def __init__(self, made_at: str) -> None:
        self.made_at = attrgetter(made_at)
        self._rows: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Rows of records behind all that were there before."""
        self._rows += sorted(rows, key=self.made_at)

    def between(self, start: int, end: int) -> list[Row]:
        """The rows that the records from `start` on and before `end` brought about."""
        first = bisect_left(self._rows, start, key=self.made_at)
        return self._rows[first : bisect_left(self._rows, end, first, key=self.made_at)]

    def since(self, start: int) -> list[Row]:
        return self._rows[bisect_left(self._rows, start, key=self.made_at) :]

    def forget(self, before: int) -> None:
        """Drop what the records before this offset brought about: no replay asks for it."""
        del self._rows[: bisect_left(self._rows, before, key=self.made_at)]
