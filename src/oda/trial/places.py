"""Places of a trial's log as its source has them. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from oda.core.kinds import Kind, Meaning

Row = TypeVar("Row", bound=msgspec.Struct)


class Inserted:
    """What was put between the records of a source, in the order of the log: so that offsets can be told without it.

    >>> inserted = Inserted()
    >>> inserted.add(4, 7)
    >>> [inserted.without(offset) for offset in (3, 4, 6, 7)]
    [3, 3, 3, 4]
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._before = [0]  # offsets that were inserted before each

    def add(self, start: int, end: int) -> None:
        """Offsets from one to before another are none of the source's."""
        self._starts.append(start)
        self._ends.append(end)
        self._before.append(self._before[-1] + end - start)

    def without(self, offset: int) -> int:
        """Where the source has it; of what was inserted the place before it."""
        number = bisect_right(self._starts, offset)
        if number and offset < self._ends[number - 1]:
            return self._starts[number - 1] - 1 - self._before[number - 1]
        return offset - self._before[number]


def moved(kind: Kind[Row], rows: Sequence[Row], place: Callable[[int], int]) -> list[Row]:
    """Rows with their offsets as `place` says."""
    names = [field.name for field in kind.fields if field.meaning is Meaning.OFFSET]
    return [msgspec.structs.replace(row, **{name: place(getattr(row, name)) for name in names}) for row in rows]
