"""Columns of numbers as text, since Storm's multilang protocol is JSON: packed, then base64.

A tuple costs the protocol far more than its size does, so tuples carry columns, not rows.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]


def pack(columns: Sequence[Column]) -> str:
    """Join columns of equal length into one base64 text; the types are not stored."""
    return b64encode(b"".join(np.ascontiguousarray(column).tobytes() for column in columns)).decode("ascii")


def unpack(text: str, types: Sequence[str]) -> list[Column]:
    """Split what `pack` made; `types` are NumPy's, little-endian, such as `"<i8"`.

    Raises:
        ValueError: the length does not fit the types.
    """
    data = b64decode(text)
    width = sum(np.dtype(type_).itemsize for type_ in types)
    rows, rest = divmod(len(data), width)
    if rest:
        raise ValueError(f"{len(data)} bytes are no whole number of {width}-byte rows")
    columns, at = [], 0
    for type_ in types:
        columns.append(np.frombuffer(data, type_, rows, at))
        at += rows * np.dtype(type_).itemsize
    return columns
