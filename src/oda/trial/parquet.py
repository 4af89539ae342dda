"""A Parquet file as the lines of a CSV file, so that there is one way to read either. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from oda.errors import UserError

MAGIC = b"PAR1"
"""How such a file begins."""

_ROWS = 65_536
"""Turned into lines at once."""


def lines(path: Path) -> Iterator[str]:
    """A header, then a line for each row: row n is line n + 1, unless a text in it has line breaks.

    Raises:
        UserError: there is no pyarrow, or the file is damaged.
    """
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError:
        raise UserError(
            f"{path}: to read Parquet, install pyarrow: .venv/bin/python -m pip install --editable '.[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            yield ",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n"
            for batch in file.iter_batches(_ROWS):
                text = BytesIO()
                csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
                yield from text.getvalue().decode().splitlines(keepends=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: {error}") from None
