"""The comparison of what a store should hold with what it holds: exact, row by row.

Pure: rows come in as values, counts and examples come out. Floats are equal or they are not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from oda.audit.comparison import EXAMPLES, Comparison, Fault
from oda.audit.expected import Accepted, Names
from oda.core.kinds import Document
from oda.stores.place import SLOT_MS

Identity = TypeVar("Identity", bound=Hashable)


def compare(
    result: Comparison,
    expected: Mapping[Identity, Document],
    found: Iterable[tuple[Identity, Document]],
    later: frozenset[str] = frozenset(),
) -> None:
    """Compare rows by identity; a row that is found twice must be right both times.

    Args:
        result: where the counts go.
        expected: each row by its identity.
        found: identities and rows, in any order, repeated or not.
        later: fields that a row may lack: it was written when there were none such.

    >>> result = Comparison("Kafka", "windows")
    >>> compare(result, {1: {"mean": 0.5}, 2: {"mean": 0.5}}, [(1, {"mean": 0.25})])
    >>> result.examples["missing"], result.examples["different"]
    (["2: {'mean': 0.5}"], ['1: mean is 0.25, expected 0.5'])
    """
    seen: set[Identity] = set()
    wrong: set[Identity] = set()
    for identity, row in found:
        seen.add(identity)
        want = expected.get(identity)
        if identity in wrong or row == want or row == _without(want, later - row.keys()):
            continue
        wrong.add(identity)
        if want is None:
            result.add("extra", 1, [f"{identity}: {row}"])
        else:
            result.add("different", 1, [f"{identity}: {_difference(want, row)}"])
    for identity, want in expected.items():
        if identity not in seen:
            result.add("missing", 1, [f"{identity}: {want}"])
    result.expected += len(expected)
    result.found += len(seen)


def _without(row: Document | None, fields: frozenset[str]) -> Document | None:
    return row and {name: value for name, value in row.items() if name not in fields}


def _difference(want: Document, row: Document) -> str:
    return ", ".join(
        f"{name} is {row.get(name, 'absent')}, expected {want.get(name, 'absent')}"
        for name in {**want, **row}
        if name not in row or name not in want or row[name] != want[name]
    )


class Archived(NamedTuple):
    """Readings of one partition as the archive has them, in any order, repeated or not.

    `series` by number; `slots` as the row has it; `times` in epoch ms.
    """

    offsets: NDArray[np.int64]
    series: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    slots: NDArray[np.int64]

    @classmethod
    def join(cls, parts: Sequence[Archived]) -> Archived:
        """The readings of all parts; of no parts, none."""
        if not parts:
            return cls(*(np.empty(0, np.int64),) * 3, np.empty(0, np.float64), np.empty(0, np.int64))
        return cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))

    def within(self, start: int, end: int) -> Archived:
        """The readings at offsets from `start` on, before `end`."""
        there = (start <= self.offsets) & (self.offsets < end)
        return Archived._make(column[there] for column in self)


def compare_readings(result: Comparison, partition: int, accepted: Accepted, found: Archived, names: Names) -> None:
    """Compare the archive of one partition by offset; every copy of a reading must be right."""
    offsets, series, times, values = accepted.columns()
    expected = Archived(offsets, series, times, values, times // SLOT_MS)

    known = np.isin(found.offsets, offsets)
    at = np.searchsorted(offsets, found.offsets[known])
    wrong = np.zeros(len(at), bool)
    for is_, should in zip(found[1:], expected[1:], strict=True):
        wrong |= is_[known] != should[at]

    def add(fault: Fault, rows: Archived, which: NDArray[np.intp]) -> None:
        _, firsts = np.unique(rows.offsets[which], return_index=True)
        examples = (
            f"{partition}:{offset}: {names.name(number)} at {time} is {value}, in slot {slot}"
            for offset, number, time, value, slot in zip(
                *(column[which[firsts[:EXAMPLES]]] for column in rows), strict=True
            )
        )
        result.add(fault, len(firsts), examples)

    add("extra", found, np.flatnonzero(~known))
    add("different", found, np.flatnonzero(known)[wrong])
    add("missing", expected, np.flatnonzero(~np.isin(offsets, found.offsets)))
    result.expected += len(offsets)
    result.found += len(np.unique(found.offsets))
