"""The archive's format: readings of one series and slot of time, packed into one row of the table `readings`.

A row's `data` holds three columns one after the other, little-endian, in the order of the log: offsets
as uint32 counted from `first_offset`, times as int64 epoch ms, values as float64. A replay may cut the
log into other batches than before, so two rows can hold the same reading: `readings` gives each once.

Knows nothing of Cassandra but its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.stores.place import SLOT_MS

_READING = 4 + 8 + 8
"""Bytes of one packed reading."""

_MOST = 50_000
"""Readings in one row, so that it has a megabyte."""

_SPAN = 2**32
"""Offsets in one row differ by less: they are packed as uint32."""


class Row(NamedTuple):
    """One row of the table `readings`; `slot` by the readings' own time."""

    series: str
    slot: int
    first_offset: int
    last_offset: int
    data: bytes


class Packed(NamedTuple):
    """A row as it is read; `is_misplaced` if it does not stand where a reader looks for it."""

    series: str
    slot: int
    partition: int
    first_offset: int
    last_offset: int
    data: bytes
    is_misplaced: bool


class Columns(NamedTuple):
    """Readings in log order: offsets and times (epoch ms) as int64, values as float64."""

    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def pack(
    names: Sequence[str],
    series: NDArray[np.int32],
    offsets: NDArray[np.int64],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
) -> list[Row]:
    """Turn a batch's readings into rows, one for each series and slot, more if there are many readings of it.

    Args:
        names: series names.
        series: of each reading, the index of its series in `names`.
        offsets: Kafka offsets, ascending.
        times: epoch ms.
        values: the numbers themselves.

    >>> rows = pack(["a", "b"], *map(np.array, ([1, 0, 1], [7, 8, 9], [0, 1, SLOT_MS], [1.5, 2.5, 3.5])))
    >>> [row[:4] for row in rows]
    [('a', 0, 8, 8), ('b', 0, 7, 7), ('b', 1, 9, 9)]
    """
    if not len(series):
        return []
    slots = times // SLOT_MS
    spans = (offsets - offsets[0]) // _SPAN
    # Stable, so that readings stay in log order within their row; the last key is the first to sort by.
    order = np.lexsort((spans, slots, series))
    series, slots, spans, offsets = series[order], slots[order], spans[order], offsets[order]

    changes = (np.diff(series) != 0) | (np.diff(slots) != 0) | (np.diff(spans) != 0)
    groups = np.flatnonzero(np.r_[True, changes])
    number_in_group = np.arange(len(order)) - np.repeat(groups, np.diff(np.r_[groups, len(order)]))
    starts = np.flatnonzero(number_in_group % _MOST == 0)
    ends = np.append(starts[1:], len(order))
    firsts = offsets[starts]

    # Slicing bytes is several times faster than slicing arrays, and there may be a row per reading.
    packed_offsets = (offsets - np.repeat(firsts, ends - starts)).astype("<u4").tobytes()
    packed_times = times[order].astype("<i8").tobytes()
    packed_values = values[order].astype("<f8").tobytes()
    return [
        Row(
            names[name],
            slot,
            first,
            last,
            packed_offsets[4 * a : 4 * b] + packed_times[8 * a : 8 * b] + packed_values[8 * a : 8 * b],
        )
        for name, slot, first, last, a, b in zip(
            series[starts].tolist(),
            slots[starts].tolist(),
            firsts.tolist(),
            offsets[ends - 1].tolist(),
            starts.tolist(),
            ends.tolist(),
            strict=True,
        )
    ]


def unpack(first_offset: int, data: bytes) -> Columns:
    """The readings of one row.

    Raises:
        ValueError: `data` is not what `pack` makes.
    """
    count, rest = divmod(len(data), _READING)
    if rest or not count:
        raise ValueError(f"{len(data)} bytes are no packed readings of {_READING} bytes each")
    return Columns(
        np.frombuffer(data, "<u4", count).astype(np.int64) + first_offset,
        np.frombuffer(data, "<i8", count, 4 * count),
        np.frombuffer(data, "<f8", count, 12 * count),
    )


def columns(rows: Iterable[tuple[int, bytes]]) -> Iterator[Columns]:
    """The readings of one series, slot and partition, each once, in log order.

    A row has every reading of its series and slot between its first and last offset. So what a row
    shares with those before it is what is not beyond their last offset.

    Args:
        rows: `(first_offset, data)` in order of `first_offset`, as the table gives them.

    Raises:
        ValueError: a row's data is not what `pack` makes.
    """
    seen = -1
    for first_offset, data in rows:
        found = unpack(first_offset, data)
        new = slice(int(np.searchsorted(found.offsets, seen, side="right")), None)
        yield Columns._make(column[new] for column in found)
        seen = max(seen, int(found.offsets[-1]))


def readings(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, int, float]]:
    """As `columns`, reading by reading: `(offset, time in epoch ms, value)`."""
    for found in columns(rows):
        yield from zip(*(column.tolist() for column in found), strict=True)
