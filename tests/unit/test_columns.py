"""Columns survive packing to the last bit, whatever they hold, and take no more room than they need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oda.core.columns import pack, unpack

TYPES = ("<i4", "<i8", "<f8")
columns = st.integers(0, 20).flatmap(lambda rows: st.tuples(*(arrays(type_, rows) for type_ in TYPES)))


@given(columns)
def test_what_was_packed_comes_back(packed):
    found = unpack(pack(packed), TYPES)
    assert [column.tobytes() for column in found] == [column.tobytes() for column in packed]
    assert [column.dtype for column in found] == list(TYPES)


def test_offsets_in_a_row_take_no_room():
    few, many = np.arange(7, 10), np.arange(7, 10_007)
    assert len(pack([few])) == len(pack([many]))


def test_times_that_jump_take_what_the_largest_jump_needs():
    calm = np.arange(1000) * 10 + 1_732_300_000_000
    jumping = np.append(calm, calm[0])
    assert len(pack([jumping])) == pytest.approx(len(pack([calm])) + 2 * 1000, abs=4)


@pytest.mark.parametrize("types", [["<i8"], ["<i8", "<f8", "<f8"], ["<f8", "<i8"]])
def test_other_types_than_were_packed(types):
    with pytest.raises(ValueError, match=r"bytes|buffer"):
        unpack(pack([np.array([1, 1000, 3]), np.array([0.5, 1.5, 2.5])]), types)


def test_a_part_of_it():
    data = pack([np.array([1, 1000, 3])])
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r"bytes|buffer"):
            unpack(data[:end], ["<i8"])
