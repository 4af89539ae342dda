"""Readings from the rows of a CSV file; a row that is none is reported, and the next one read.

Pure but for the rows it is given: knows nothing of clocks or Kafka.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from math import isfinite
from typing import Protocol

import msgspec

from oda.collect.elements import UTF_16
from oda.collect.times import parse_time
from oda.core.reading import Reading, RejectedError
from oda.errors import UserError, shorten

Accept = Callable[[bytes], Reading]
"""Turns a message into the reading that it is, or raises RejectedError."""

BadRow = Callable[[int, int, str], None]
"""Is told the first line, from 1, the last line, and the reason."""

_UTF_16_MARKS = ("\udcff\udcfe", "\udcfe\udcff")
"""Byte-order marks, as undecodable bytes."""

_DECIMAL = re.compile(r"-?\d+\.\d+", re.ASCII)


class Reader(Protocol):
    """What `csv.reader` returns; `line_num` counts lines that were read."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; without a series column every reading is of `series`."""

    time: str
    value: str
    series: str
    series_column: str | None = None

    @property
    def names(self) -> list[str]:
        """Those that the file must have."""
        return [self.time, self.value, *([self.series_column] if self.series_column else [])]


def read(
    lines: Iterable[str], columns: Columns, accept: Accept, bad: BadRow, delimiter: str = ","
) -> Iterator[Reading]:
    """The readings of a CSV file with a header row.

    A quote that is opened and not closed takes the rows that follow into its field. So a quote must be where one
    can be, and a field must not hold what would be a reading if it were a row.

    Args:
        lines: the file, opened with `newline=""`, undecodable bytes as surrogates.
        columns: where time, value and series are.
        accept: the check of a row's reading.
        bad: called with each row that is not a reading; blank lines are not rows.
        delimiter: what separates the fields.

    Raises:
        UserError: there is no header, it lacks a column, or has it twice.

    >>> from oda.core.reading import decode
    >>> lines = ["timestamp,value", "2014-04-01 00:00:00,20.5", "2014-04-01 00:05:00,n/a"]
    >>> columns = Columns("timestamp", "value", "pump-7")
    >>> for reading in read(lines, columns, lambda message: decode(message, 1732300000123, 0), print):
    ...     print(reading)
    Reading(series='pump-7', time=1396310400000, value=20.5)
    3 3 'n/a' is not a number
    """
    return _readings(*begin(lines, columns, accept, delimiter), bad)


def begin(lines: Iterable[str], columns: Columns, accept: Accept, delimiter: str) -> tuple[Reader, Rows]:
    """What reads the rows behind the header, and what turns them into readings; arguments and errors as of `read`."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UserError(f"not a CSV file: line {reader.line_num}: {error}") from None
    _check_header(header, columns, delimiter)
    return reader, Rows(header, columns, accept, delimiter)


def _readings(reader: Reader, rows: Rows, bad: BadRow) -> Iterator[Reading]:
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
            if row:
                yield rows.checked(row, first, reader.line_num)
        except StopIteration:
            return
        except csv.Error as error:
            bad(first, reader.line_num, why_no_row(error, first, reader.line_num))
        except (ValueError, RejectedError) as error:
            bad(first, reader.line_num, shorten(str(error)))


def why_no_row(error: csv.Error, first: int, last: int) -> str:
    """What is wrong with lines that are no row."""
    return f"{error}{': is a quote opened, and not closed?' if last > first else ''}"


class Rows:
    """Turns rows into readings.

    Attributes:
        length: how many fields a row has.
        time, value, series: the indexes of the fields; series is None if all readings are of one.
    """

    def __init__(self, header: list[str], columns: Columns, accept: Accept, delimiter: str) -> None:
        self.length = len(header)
        self.time, self.value, *series = (header.index(name) for name in columns.names)
        self.series = series[0] if series else None
        self._name = columns.series
        self._accept = accept
        self._delimiter = delimiter

    def checked(self, row: list[str], first: int, last: int) -> Reading:
        """The reading of a row of these lines that is not blank. Raises ValueError or RejectedError if it is none."""
        if last > first:
            self._check_quotes(row)
        return self._reading(row)

    def _reading(self, row: list[str]) -> Reading:
        if len(row) != self.length:
            raise ValueError(f"fields: {len(row)} instead of {self.length}")
        series = self._name if self.series is None else row[self.series]
        return self._accept(_message(series, _time(row[self.time]), _value(row[self.value])))

    def _check_quotes(self, row: list[str]) -> None:
        """Raises ValueError when one of several lines that are one row would be a reading of its own."""
        for field in row:
            for line in list(StringIO(field, newline=""))[1:]:
                try:
                    for swallowed in csv.reader([line], delimiter=self._delimiter):
                        self._reading(swallowed)
                except (csv.Error, ValueError, RejectedError):
                    continue
                raise ValueError("readings in quotes: one is opened in the first line and not closed")


def _check_header(header: list[str], columns: Columns, delimiter: str) -> None:
    if header and header[0].startswith(_UTF_16_MARKS):
        raise UserError(UTF_16)
    missing = [name for name in columns.names if name not in header]
    if missing:
        line = delimiter.join(header)
        for other in ",;\t|":
            if set(columns.names) <= set(line.split(other)):
                raise UserError(f"the fields are separated by {other!r}, not {delimiter!r}: give --delimiter {other!r}")
        raise UserError(f"there is no column {_names(missing)}; the columns are: {_names(header)}")
    twice = [name for name in columns.names if header.count(name) > 1]
    if twice:
        raise UserError(f"there is more than one column {_names(twice)}; the columns are: {_names(header)}")


def _names(columns: list[str]) -> str:
    """Quoted, so that a file that is no CSV file can't command the terminal."""
    return shorten(", ".join(map(repr, columns))) or "none"


def _message(series: str, time: int | float | datetime, value: float) -> bytes:
    try:
        return msgspec.json.encode({"series": series, "time": time, "value": value})
    except UnicodeEncodeError:
        raise ValueError(f"the series' name {series!r} is not UTF-8") from None


def _time(text: str) -> int | float | datetime:
    return float(text) if _DECIMAL.fullmatch(text.strip()) else parse_time(text)


def _value(text: str) -> float:
    try:
        value = float(text if "_" not in text else "")  # Python's float() takes 1_000 for a number
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not isfinite(value):  # JSON has neither NaN nor infinity
        raise ValueError(f"{text!r} is not a number")
    return value
