"""What the first lines of a file tell: where its readings are, and what its times count. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from oda.collect.csvfile import Columns
from oda.collect.timeunit import TimeUnit

DELIMITERS = ",;\t|"

_TIMES = ("timestamp", "time", "datetime", "date", "ts", "t")
_VALUES = ("value", "val", "reading", "v", "y")
_SERIES = ("series", "sensor", "name", "tag", "metric", "id", "key")
"""Names of columns, small letters or not, the most telling first."""

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)

_FROM, _TO = 315_532_800, 4_102_444_800
"""1980 and 2100 in epoch seconds: what people have readings of."""


class Given(NamedTuple):
    """What is known of a file; None where it is to be guessed. `name` is the series' if no column has it."""

    name: str
    time: str | None = None
    value: str | None = None
    series: str | None = None
    has_series: bool = True
    delimiter: str | None = None
    unit: TimeUnit | None = None


class Layout(NamedTuple):
    """How to read a file."""

    columns: Columns
    delimiter: str
    unit: TimeUnit | None


def layout(head: Sequence[str], given: Given) -> Layout:
    """From the first lines of a CSV file.

    >>> layout(["Time;Pressure;Sensor", "1396310400;3.25;pump-7"], Given("pumps"))
    Layout(columns=Columns(time='Time', value='Pressure', series='pumps', series_column='Sensor'), delimiter=';', \
unit=<TimeUnit.S: 's'>)
    """
    delimiter = given.delimiter or _delimiter(head)
    header, *rows = _rows(head, delimiter) or [[]]
    time = given.time or _named(header, _TIMES, ()) or "timestamp"
    series = given.series or (_named(header, _SERIES, (time,)) if given.has_series else None)
    rest = [name for name in header if name not in (time, series)]
    value = given.value or _named(header, _VALUES, (time, series)) or (rest[0] if len(rest) == 1 else "value")
    at = header.index(time) if time in header else len(header)
    first = next((row[at] for row in rows if len(row) > at), "")
    return Layout(Columns(time, value, given.name, series), delimiter, given.unit or unit_of(first))


def unit_of(time: str) -> TimeUnit | None:
    """What a time that is a number counts; None if it is none, or milliseconds, which need not be said.

    >>> unit_of("1396310400"), unit_of("1396310400000"), unit_of("2014-04-01")
    (<TimeUnit.S: 's'>, None, None)
    """
    if not _NUMBER.fullmatch(time.strip()):
        return None
    units = (unit for unit in TimeUnit if _FROM <= float(time) / unit.per_second < _TO)
    return next((unit for unit in units if unit is not TimeUnit.MS), None)


def _delimiter(head: Sequence[str]) -> str:
    """What cuts the header into the most fields."""
    return max(DELIMITERS, key=lambda one: len(next(iter(_rows(head[:1], one)), [])))


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(row)
    except csv.Error:  # told by whoever reads it
        pass
    return rows


def _named(header: Sequence[str], names: Sequence[str], taken: Collection[str | None]) -> str | None:
    free = {name.strip().casefold(): name for name in reversed(header) if name not in taken}
    return next((free[name] for name in names if name in free), None)
