"""The archive's packing: what is packed comes back, however the log was cut."""

from __future__ import annotations

import doctest
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.stores import archive
from oda.stores.archive import pack, readings, unpack
from oda.stores.place import SLOT_MS

Log = list[tuple[int, str, int, float]]  # offset, series, time, value

NAMES = ["a", "b", "c"]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 9, 2**31, 2**32 - 1, 2**32, 2**40]), max_size=40))
    offset, log = draw(st.integers(0, 2**40)), []
    for gap in gaps:
        time = draw(st.sampled_from([0, 5, SLOT_MS - 1, SLOT_MS, 20_000 * SLOT_MS, 2**43 - 1]))
        log.append((offset, draw(st.sampled_from(NAMES)), time, draw(st.floats(allow_nan=False))))
        offset += gap
    return log


def packed(log: Log) -> list[archive.Row]:
    offsets, series, times, values = zip(*log, strict=True) if log else ((), (), (), ())
    return pack(
        NAMES,
        np.array([NAMES.index(name) for name in series], np.int32),
        np.array(offsets, np.int64),
        np.array(times, np.int64),
        np.array(values, np.float64),
    )


def test_the_docstrings_example() -> None:
    assert doctest.testmod(archive).failed == 0


@given(logs())
def test_what_is_packed_comes_back(log: Log) -> None:
    rows = packed(log)
    back: Log = []
    for row in rows:
        columns = unpack(row.first_offset, row.data)
        assert (row.first_offset, row.last_offset) == (columns.offsets[0], columns.offsets[-1])
        assert all(time // SLOT_MS == row.slot for time in columns.times.tolist())
        assert all(a < b for a, b in pairwise(columns.offsets.tolist()))
        back += [
            (offset, row.series, time, value)
            for offset, time, value in zip(*(c.tolist() for c in columns), strict=True)
        ]
    assert sorted(back) == log
    identities = [(row.series, row.slot, row.first_offset, row.last_offset) for row in rows]
    assert len(set(identities)) == len(identities)


@given(logs(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_readers_see_each_reading_once_however_the_log_was_cut(log: Log, cuts: list[tuple[int, int]]) -> None:
    table = {}
    for start, end in [(0, len(log)), *cuts]:
        for row in packed(log[start:end]):
            table[row.series, row.slot, row.first_offset, row.last_offset] = row.data
    groups: dict[tuple[str, int], list[tuple[int, bytes]]] = {}
    for (series, day, first_offset, _), data in sorted(table.items()):
        groups.setdefault((series, day), []).append((first_offset, data))
    got = [
        (offset, series, time, value) for (series, _), rows in groups.items() for offset, time, value in readings(rows)
    ]
    assert sorted(got) == log


def test_no_row_is_larger_than_a_megabyte() -> None:
    count = 120_000
    log = [(number, NAMES[number % 60_000 == 7], 0, float(number)) for number in range(count)]
    rows = packed(log)
    assert max(len(row.data) for row in rows) <= 10**6
    got = [place for row in rows if row.series == "a" for place in unpack(row.first_offset, row.data).offsets.tolist()]
    assert got == [offset for offset, name, *_ in log if name == "a"]


@pytest.mark.parametrize("data", [b"", b"x" * 19, b"x" * 21])
def test_damaged_data_is_an_error_that_says_so(data: bytes) -> None:
    with pytest.raises(ValueError, match="bytes are no packed readings"):
        unpack(0, data)
