"""Columns of numbers as bytes.

A tuple costs Storm's protocol far more than its size does, so tuples carry columns, not rows. Then the size counts: the
worker copies a text character by character, once for each bolt that takes it. So a column of integers is kept as its
first one and the differences between neighbours, each less the smallest of them, in as few bytes as the largest
needs (frame of reference: Goldstein, Ramakrishnan, Shaft, "Compressing relations and indexes", 1998). Offsets, which
follow each other, take no bytes at all, times one or two.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]

_ROWS = struct.Struct("<I")
_FRAME = struct.Struct("<qqB")
"""Before a column of integers: its first one, the smallest difference, bytes of each."""


def pack(columns: Sequence[Column]) -> bytes:
    """Join columns of equal length; the types are not stored.

    >>> unpack(pack([np.array([7, 8, 9]), np.array([0.5, 1.5, 2.5])]), ["<i8", "<f8"])
    [array([7, 8, 9]), array([0.5, 1.5, 2.5])]
    """
    parts = [_ROWS.pack(len(columns[0]))]
    parts += [column.tobytes() if column.dtype.kind == "f" else _narrow(column) for column in columns]
    return b"".join(parts)


def unpack(data: bytes, types: Sequence[str]) -> list[Column]:
    """Split what `pack` made; `types` are NumPy's, little-endian, such as `"<i8"`.

    Raises:
        ValueError: the bytes are not what `pack` makes of such columns.
    """
    columns: list[Column] = []
    try:
        (rows,), at = _ROWS.unpack_from(data), _ROWS.size
        for type_ in types:
            if np.dtype(type_).kind == "f":
                columns.append(np.frombuffer(data, type_, rows, at))
                at += columns[-1].nbytes
            else:
                column, at = _widen(data, at, rows)
                columns.append(column.astype(type_))
    except struct.error as error:
        raise ValueError(str(error)) from None
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes too many behind {rows} rows")
    return columns


def _narrow(column: Column) -> bytes:
    if len(column) < 2:
        return _FRAME.pack(column.sum(), 0, 0)  # the only one, or nothing
    differences = np.diff(column.astype(np.int64))
    least = differences.min()
    steps = (differences - least).view(np.uint64)  # wraps around where it must, and so does the sum when it is unpacked
    largest = steps.max()
    width = np.min_scalar_type(largest).itemsize if largest else 0
    return _FRAME.pack(column[0], least, width) + (steps.astype(f"<u{width}").tobytes() if width else b"")


def _widen(data: bytes, at: int, rows: int) -> tuple[NDArray[np.int64], int]:
    """One column of integers, and where the next one begins."""
    first, least, width = _FRAME.unpack_from(data, at)
    at += _FRAME.size
    column = np.full(rows, least, np.int64)
    if width:
        column[1:] += np.frombuffer(data, f"<u{width}", rows - 1, at).astype(np.int64)
        at += width * (rows - 1)
    column[:1] = first
    return np.cumsum(column), at
