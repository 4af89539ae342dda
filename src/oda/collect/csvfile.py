"""Readings from the rows of a CSV file; a row that is none is reported, and the next one read.

Pure but for the rows it is given: knows nothing of clocks or Kafka.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from oda.collect.times import parse_time
from oda.core.reading import MAX_TIME, MAX_VALUE, Reading
from oda.errors import UserError, shorten

MAX_SERIES = 249

BadRow = Callable[[int, str], None]
"""Is told the line number, from 1, and the reason."""


class _Reader(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; without a series column every reading is of `series`."""

    time: str
    value: str
    series: str
    series_column: str | None = None


def read(lines: Iterable[str], columns: Columns, bad: BadRow) -> Iterator[Reading]:
    """The readings of a CSV file with a header row.

    Args:
        lines: the file, opened with `newline=""`.
        columns: where time, value and series are.
        bad: called with each row that is not a reading; blank lines are not rows.

    Raises:
        UserError: there is no header, or it lacks a column.

    >>> lines = ["timestamp,value", "2014-04-01 00:00:00,20.5", "2014-04-01 00:05:00,n/a"]
    >>> for reading in read(lines, Columns("timestamp", "value", "pump-7"), lambda line, why: print(line, why)):
    ...     print(reading)
    Reading(series='pump-7', time=1396310400000, value=20.5)
    3 'n/a' is not a number
    """
    reader = csv.reader(lines)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UserError(f"not a CSV file: line {reader.line_num}: {error}") from None
    return _readings(reader, _row_reader(header, columns), bad)


def _readings(reader: _Reader, row_of: Callable[[list[str]], Reading], bad: BadRow) -> Iterator[Reading]:
    while True:
        try:
            row = next(reader)
            if row:
                yield row_of(row)
        except StopIteration:
            return
        except (csv.Error, ValueError) as error:
            bad(reader.line_num, shorten(str(error)))


def _row_reader(header: list[str], columns: Columns) -> Callable[[list[str]], Reading]:
    """What turns a row into a reading, or raises ValueError. Raises UserError for a missing column."""
    wanted = [columns.time, columns.value, *([columns.series_column] if columns.series_column else [])]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UserError(f"there is no column {_names(missing)}; the columns are: {_names(header)}")
    time, value, *series = (header.index(name) for name in wanted)

    def row_of(row: list[str]) -> Reading:
        if len(row) != len(header):
            raise ValueError(f"fields: {len(row)} instead of {len(header)}")
        name = row[series[0]] if series else columns.series
        return Reading(_series(name), _time(row[time]), _value(row[value]))

    return row_of


def _names(columns: list[str]) -> str:
    """Quoted, so that a file that is no CSV file can't command the terminal."""
    return shorten(", ".join(map(repr, columns))) or "none"


def _series(name: str) -> str:
    if not 1 <= len(name) <= MAX_SERIES:
        raise ValueError(f"a series' name must have 1 to {MAX_SERIES} characters, not {len(name)}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the series' name {name!r} is not UTF-8") from None
    return name


def _time(text: str) -> int:
    time = parse_time(text)
    if not 0 <= time <= MAX_TIME:
        raise ValueError(f"time {text!r} is before 1970 or after 2248")
    return time


def _value(text: str) -> float:
    try:
        value = float(text if "_" not in text else "")  # Python's float() takes 1_000 for a number
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not -MAX_VALUE <= value <= MAX_VALUE:  # nor is NaN
        raise ValueError(f"{text!r} is not a number up to {MAX_VALUE:g}")
    return value
