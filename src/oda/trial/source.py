"""Readings of a file, or of stdin: CSV, JSON lines as messages are, or Parquet; told apart by how they begin."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from oda.collect.check import MAX_LENGTH, Check
from oda.collect.csvfile import BadRow
from oda.collect.csvparts import read_parts
from oda.collect.timeunit import TimeUnit, in_rfc_3339
from oda.core.batch import Readings
from oda.core.decoding import decode_all
from oda.core.reading import MAX_TIME, RejectedError, decoder
from oda.errors import UserError, shorten
from oda.trial import parquet
from oda.trial.guess import Given, Layout, layout, unit_of
from oda.trial.parquet import MAGIC

_HEAD = 50
"""Lines that are looked at first."""

_LINES = 8192
"""In one part."""


@dataclass(frozen=True)
class Source:
    """A file that is open.

    Attributes:
        parts: its readings.
        size: bytes; None of a pipe.
        notes: what was guessed, for people.
    """

    parts: Iterable[Readings]
    size: int | None
    notes: list[str]
    _file: io.BufferedReader

    def done(self) -> int:
        """Bytes that were read; 0 where there is no telling, as of a pipe."""
        return 0 if self.size is None else self._file.tell()


@contextmanager
def opened(path: Path | None, given: Given, bad: BadRow) -> Iterator[Source]:
    """A file; None is stdin.

    Args:
        path: the file.
        given: what is known of it.
        bad: called with each row that is not a reading, as the parts are read.

    Raises:
        UserError: it can't be read, or is not what it seems; then, or as the parts are read.
    """
    file = _open(path)
    try:
        is_parquet = path is not None and file.peek(len(MAGIC)).startswith(MAGIC)
        size = None if path is None or is_parquet or not path.is_file() else os.fstat(file.fileno()).st_size
        # A byte that is not UTF-8 makes its row a bad one, and does not end the file.
        text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        rest = parquet.lines(path) if path is not None and is_parquet else text
        head = list(islice(rest, _HEAD))
        if not head:
            raise UserError(f"{path or 'stdin'}: there is nothing in it")
        lines = chain(head, rest)
        first = next((line for line in head if line.strip()), "")
        if first.startswith("{"):
            unit = given.unit or _unit_of_message(first)
            yield Source(_json_lines(lines, unit, bad), size, _of_unit(unit, given), file)
        else:
            found = layout(head, given)
            parts = read_parts(lines, found.columns, Check(0, found.unit), bad, found.delimiter)
            yield Source(parts, size, _guessed(found, given), file)
    except OSError as error:
        raise UserError(f"{path or 'stdin'}: {error.strerror}") from None
    finally:
        file.close()


def _open(path: Path | None) -> io.BufferedReader:
    if path is None:
        if sys.stdin is None:
            raise UserError("stdin is closed: there is nothing to read")
        return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    try:
        return io.BufferedReader(io.FileIO(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _guessed(found: Layout, given: Given) -> list[str]:
    columns, notes = found.columns, []
    if columns.names != [given.time or "timestamp", given.value or "value", *([given.series] if given.series else [])]:
        series = f", series {columns.series_column!r}" if columns.series_column else ""
        notes.append(shorten(f"columns: time {columns.time!r}, value {columns.value!r}{series}"))
    return notes + _of_unit(found.unit, given)


def _of_unit(unit: TimeUnit | None, given: Given) -> list[str]:
    return [f"times are taken for numbers of {unit} (--time-unit {unit})"] if unit and not given.unit else []


def _unit_of_message(line: str) -> TimeUnit | None:
    try:
        return unit_of(str(decoder.decode(line).time))
    except ValueError:
        return None


def _json_lines(lines: Iterable[str], unit: TimeUnit | None, bad: BadRow) -> Iterator[Readings]:
    rest, number = iter(lines), 1
    while some := list(islice(rest, _LINES)):
        numbers, messages = [], []
        for at, line in enumerate(some, number):
            message = line.strip().encode("utf-8", "surrogateescape")
            if not message:
                continue
            try:
                if len(message) > MAX_LENGTH:
                    raise RejectedError(f"longer than {MAX_LENGTH} bytes")
                messages.append(in_rfc_3339(message, unit) if unit else message)
                numbers.append(at)
            except RejectedError as error:
                bad(at, at, str(error))
        if messages:
            count = len(messages)
            readings, rejected = decode_all(range(count), [MAX_TIME] * count, [True] * count, messages, 0)
            for index, reason in rejected.items():
                bad(numbers[index], numbers[index], reason)
            if len(readings.offsets):
                yield readings
        number += len(some)
