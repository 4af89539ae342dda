"""The tables that are exported: their columns, and their rows as columns, some at a time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from oda.core.kinds import OF_SERIES, Document, Meaning

_ROWS = 50_000
"""Written at once."""

READINGS = "readings"

COLUMNS: dict[str, dict[str, Meaning]] = {
    READINGS: {
        "series": Meaning.NAME,
        "time": Meaning.TIME,
        "value": Meaning.VALUE,
        "partition": Meaning.OFFSET,
        "offset": Meaning.OFFSET,
    },
    **{kind.name: {**kind.meanings, "partition": Meaning.OFFSET} for kind in OF_SERIES},
}
"""By table what each column holds, in their order."""

Columns = list[list[Any]]
"""Some rows of a table, as its columns; None where a row of a former version lacks a field."""

Wanted = Callable[[str], object]
"""What is true of the names of series that are wanted."""


def of_readings(parts: Iterable[tuple[str, int, list[tuple[int, int, float]]]], wanted: Wanted) -> Iterator[Columns]:
    """Of readings: by series and partition each one's offset, time (epoch ms) and value.

    >>> next(of_readings([("pump-7", 3, [(40, 1732300000123, 2.5)]), ("tank", 1, [(7, 0, 1.0)])], "pump-7".__eq__))
    [['pump-7'], [1732300000123], [2.5], [3], [40]]
    """
    rows = (
        (series, time, value, partition, offset)
        for series, partition, some in parts
        if wanted(series)
        for offset, time, value in some
    )
    return _columns(rows)


def of_rows(table: str, documents: Iterable[Document], wanted: Wanted) -> Iterator[Columns]:
    """Of windows, anomalies, or changes of incidents."""
    names = list(COLUMNS[table])
    return _columns(tuple(map(one.get, names)) for one in documents if wanted(one["series"]))


def _columns(rows: Iterable[tuple[Any, ...]]) -> Iterator[Columns]:
    rest = iter(rows)
    while some := list(islice(rest, _ROWS)):
        yield [list(column) for column in zip(*some, strict=True)]
