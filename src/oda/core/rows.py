"""The rows that ODA produces: closed windows and anomalies, with the place in the log they come from.

A row's identity is its place in the log, never the moment it was written: the same log gives the
same rows, so writing one twice changes nothing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import cache
from typing import Literal, TypeVar

import msgspec


class ClosedWindow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One closed window of one series. Also the series' baseline while it is the newest.

    Times in epoch ms; `stddev` is the population's. `closed_at` is the offset of the record that
    closed it, or for `closed_by="clock"` the position (the offset of the next record) at which the
    clock did. `late` counts the late readings of the series before `closed_at`, since the log began.
    """

    series: str
    start: int
    end: int
    count: int
    mean: float
    stddev: float
    first_offset: int
    last_offset: int
    closed_at: int
    closed_by: Literal["data", "clock"]
    late: int


class Anomaly(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reading beyond the allowed distance from its baseline, and that baseline.

    `time` and `window_start` in epoch ms; `mean`, `stddev`, `count` are those of the window that
    starts at `window_start`.
    """

    series: str
    time: int
    offset: int
    value: float
    mean: float
    stddev: float
    count: int
    window_start: int


Row = TypeVar("Row", ClosedWindow, Anomaly)

_encode = msgspec.msgpack.Encoder().encode


def to_text(rows: Sequence[Row]) -> str:
    """Rows as one text, packed and in base64: as values of a Storm tuple each costs every process it passes.

    >>> from_text(to_text([row := Anomaly("a", 1000, 7, 9.5, 1.0, 0.5, 200, 0)]), Anomaly) == [row]
    True
    """
    return b64encode(_encode(rows)).decode("ascii")


def from_text(text: str, kind: type[Row]) -> list[Row]:
    """What `to_text` packed."""
    return _decoder(kind).decode(b64decode(text))


@cache
def _decoder(kind: type[Row]) -> msgspec.msgpack.Decoder[list[Row]]:
    return msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
