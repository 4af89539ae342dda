"""Files that a table can be written to: CSV, and Parquet, which needs pyarrow."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from oda.core.kinds import Meaning
from oda.errors import UserError
from oda.export.tables import Columns


class File(Protocol):
    """One that is open for the rows of a table."""

    def write(self, columns: Columns) -> None: ...

    def close(self) -> None:
        """Write what belongs at its end."""


class CsvFile:
    """UTF-8 with a header; times as RFC 3339 in UTC, numbers with all their digits, nothing where nothing is known."""

    def __init__(self, file: IO[bytes], table: Mapping[str, Meaning]) -> None:
        self._table = table
        self._text = io.TextIOWrapper(file, "utf-8", newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(table)

    def write(self, columns: Columns) -> None:
        texts = [
            _times(column) if meaning is Meaning.TIME else column
            for column, meaning in zip(columns, self._table.values(), strict=True)
        ]
        self._rows.writerows(zip(*texts, strict=True))

    def close(self) -> None:
        self._text.detach()  # which writes what it has


def _times(column: list[Any]) -> list[str]:
    """
    >>> _times([1732300000123, None])
    ['2024-11-22T18:26:40.123Z', '']
    """
    texts: list[str] = np.datetime_as_string(np.array(column, "datetime64[ms]"), timezone="UTC").tolist()
    return ["" if text == "NaT" else text for text in texts]


class ParquetFile:
    """Times are timestamps in UTC, names dictionaries."""

    def __init__(self, file: IO[bytes], table: Mapping[str, Meaning]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise UserError(
                "to write Parquet, install pyarrow: .venv/bin/python -m pip install --editable '.[parquet]'"
            ) from None
        types = {
            Meaning.NAME: pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
            Meaning.TIME: pyarrow.timestamp("ms", "UTC"),
            Meaning.VALUE: pyarrow.float64(),
            Meaning.TEXT: pyarrow.string(),
        }
        self._schema = pyarrow.schema([(name, types.get(meaning, pyarrow.int64())) for name, meaning in table.items()])
        self._batch = pyarrow.record_batch
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, columns: Columns) -> None:
        self._writer.write_batch(self._batch(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


_KINDS: dict[str, type[CsvFile] | type[ParquetFile]] = {".csv": CsvFile, ".parquet": ParquetFile}


@contextmanager
def created(path: Path | None, table: Mapping[str, Meaning]) -> Iterator[File]:
    """A file of the kind that its name says; None is stdout, which gets CSV.

    It stands under its name when all of it is written, not before.

    Raises:
        UserError: it is of no such kind, or can't be written.
    """
    if path is None:
        with _closed(CsvFile(sys.stdout.buffer, table)) as file:
            yield file
        return
    kind = _KINDS.get(path.suffix)
    if kind is None:
        raise UserError(f"{path}: must end with one of {', '.join(_KINDS)}; - is stdout, as CSV")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as raw, _closed(kind(raw, table)) as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _closed(file: CsvFile | ParquetFile) -> Iterator[File]:
    try:
        yield file
    finally:
        file.close()
