"""The rows that ODA produces: closed windows, anomalies, rejected messages, each with its place in the log.

A row's identity is its place in the log, never the moment it was written: the same log gives the
same rows, so writing one twice changes nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class ClosedWindow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One closed window of one series. Also the series' baseline while it is the newest.

    Times in epoch ms; `stddev` is the population's. `closed_at` is the offset of the record that
    closed it: a reading, or for `closed_by="clock"` a clock record. `late` counts the late readings of
    the series before `closed_at`, since the log began.
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


class Rejected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that is no reading: its offset, why, and its original bytes, cut to what can be copied."""

    offset: int
    reason: str
    key: bytes | None
    value: bytes | None
