"""Readings of many rows of a CSV file at once, as columns, with the meaning that `csvfile` gives to each row.

A file is nearly all readings, and turning them together costs a tenth. Where anything is unusual the rows around it are
turned one by one: that names the culprit and its fault.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from oda.collect.check import Check
from oda.collect.csvfile import BadRow, Columns, Reader, Rows, begin, why_no_row
from oda.collect.timeunit import TimeUnit
from oda.core.batch import Readings
from oda.core.reading import MAX_TIME, MAX_VALUE, MIN_NUMBER, Reading, RejectedError
from oda.errors import shorten

_ROWS = 8192
"""In one part."""

_MICROSECONDS = len("2014-04-01 00:00:00.000000")

_MOST_NAME = 249
"""Characters of a series' name, as `oda.core.reading` has it."""


def read_parts(
    lines: Iterable[str], columns: Columns, check: Check, bad: BadRow, delimiter: str = ","
) -> Iterator[Readings]:
    """The readings of a CSV file, some thousands at a time; offsets count from 0 in each part.

    Arguments and errors as of `csvfile.read`. Of no reading the time is too far ahead: there is no clock.
    """
    reader, rows = begin(lines, columns, lambda message: check.one(message, MAX_TIME), delimiter)
    while True:
        first = reader.line_num + 1
        found, ends, error = _take(reader)
        readings = (
            _together(found, rows, columns.series, check.unit) if reader.line_num - first == len(ends) - 1 else None
        )
        if readings is None:
            readings = _each(found, first, ends, rows, bad)
        if len(readings.offsets):
            yield readings
        if error is not None:
            begun = ends[-1] + 1 if ends else first
            bad(begun, reader.line_num, why_no_row(error, begun, reader.line_num))
        elif len(found) < _ROWS:
            return


def _take(reader: Reader) -> tuple[list[list[str]], list[int], csv.Error | None]:
    """The next rows, the number of the last line of each, and what ended them, if it was not their number."""
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
            if len(rows) == _ROWS:
                break
    except csv.Error as error:
        return rows, ends, error
    return rows, ends, None


def _each(found: list[list[str]], first: int, ends: list[int], rows: Rows, bad: BadRow) -> Readings:
    readings: list[Reading] = []
    for row, last in zip(found, ends, strict=True):
        try:
            if row:
                readings.append(rows.checked(row, first, last))
        except (ValueError, RejectedError) as error:
            bad(first, last, shorten(str(error)))
        first = last + 1
    return Readings.of(range(len(readings)), readings)


def _together(found: list[list[str]], rows: Rows, name: str, unit: TimeUnit | None) -> Readings | None:
    """None if anything is unusual."""
    found = [row for row in found if row]
    if not found or any(len(row) != rows.length for row in found):
        return None
    values = _values([row[rows.value] for row in found])
    times = None if values is None else _times([row[rows.time].strip() for row in found], unit)
    if values is None or times is None:
        return None
    index: dict[str, int] = {} if rows.series is not None else {name: 0}
    if rows.series is None:
        series = np.zeros(len(found), np.int32)
    else:
        column = rows.series
        series = np.array([index.setdefault(row[column], len(index)) for row in found], np.int32)
    if not all(0 < len(one) <= _MOST_NAME and one.isprintable() for one in index):
        return None
    return Readings(list(index), series, np.arange(len(found)), times, values)


def _values(texts: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        values = np.array(list(map(float, texts)))
    except ValueError:
        return None
    # Not a number, or infinite: no comparison holds. Python's float() takes 1_000 for a number.
    if not (np.abs(values) <= MAX_VALUE).all() or any("_" in text for text in texts):
        return None
    return values


def _times(texts: Sequence[str], unit: TimeUnit | None) -> NDArray[np.int64] | None:
    """Epoch ms."""
    try:
        if all(text[4:5] == "-" for text in texts):  # a date, and no number
            return _within(_dates(texts), 0, MAX_TIME)
        if all(text.isdecimal() and text.isascii() for text in texts):
            return _numbers(np.array(list(map(int, texts)), np.int64), unit)
    except (ValueError, OverflowError):
        pass
    return None


def _dates(texts: Sequence[str]) -> NDArray[np.int64]:
    bare = [text[:-1] if text.endswith("Z") else text.removesuffix("+00:00") for text in texts]
    # What NumPy reads alike; of a datetime it takes 25 times as long.
    if all(len(text) <= _MICROSECONDS and text[13:14] == text[16:17] == ":" for text in bare) and not any(
        moment.tzinfo for moment in map(datetime.fromisoformat, bare)
    ):
        times = np.array(bare, "datetime64[us]")
    else:
        moments = map(datetime.fromisoformat, texts)
        utc = (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment for moment in moments)
        times = np.array(list(utc), "datetime64[us]")
    return times.astype(np.int64) // 1000


def _numbers(numbers: NDArray[np.int64], unit: TimeUnit | None) -> NDArray[np.int64] | None:
    if unit is None:
        return _within(numbers, MIN_NUMBER, MAX_TIME)
    within = _within(numbers, 0, MAX_TIME * unit.per_second // 1000)
    if within is None:
        return None
    return within * (1000 // unit.per_second) if unit.per_second <= 1000 else within // (unit.per_second // 1000)


def _within(times: NDArray[np.int64], least: int, most: int) -> NDArray[np.int64] | None:
    return times if least <= int(times.min()) and int(times.max()) <= most else None
