"""Messages decoded together are what each of them is by itself, whatever stands beside them."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from oda.core import decoding
from oda.core.decoding import decode_all
from oda.core.reading import MAX_BRACKETS, MAX_TIME, MIN_NUMBER, RejectedError, decode

NOW, DAY = 1_800_000_000_000, 86_400_000

READING = b'{"series": "a", "time": 1732300000000, "value": 1.5}'
OTHER = b'{"series":"\xc3\xa9","time":1732300000001,"value":-3}'
AHEAD = [
    b'{"series":"a","time":%d,"value":1}' % time
    for time in (NOW + DAY, NOW + DAY + 1, NOW + 366 * DAY, NOW + 366 * DAY + 1, MAX_TIME)
]
unusual = [
    None,
    b"",
    b"{}",
    READING + OTHER,
    READING + b"\n" + OTHER,
    READING[:14] + b"\n" + READING[14:],
    READING[:14],  # these two are a reading when something joins them
    READING[15:],
    b'{"series":"a","x":{}',
    b'{"series":"a}',
    b'\n{"series":"a","time":1732300000000,"value":1}',
    b'{"series":"\xff","time":1732300000000,"value":1}',
    b'{"series":"a","time":1732300000000,"value":1,"x":"\xff"}',
    b'{"series":"a","time":"2026-01-01T00:00:00Z","value":1}',
    b'{"series":"a","time":"1970-01-01T00:00:01Z","value":1}',
    b'{"series":"a","time":-1,"value":1}',
    *AHEAD,
    b'{"series":"a","time":%d,"value":1}' % (MIN_NUMBER - 1),
    b'{"series":"a","time":%d,"value":1}' % MIN_NUMBER,
    b'{"series":"a","time":%d,"value":1}' % (MAX_TIME + 1),
    b'{"series":"a","time":%d,"value":1}' % 2**64,
    b'{"series":"a","time":1732300000000,"value":1e101}',
    b'{"series":"a","time":1732300000000,"value":-1e101}',
    b'{"series":"","time":1732300000000,"value":1}',
    b'{"series":"a","time":1732300000000,"value":1,"x":' + b"[" * (MAX_BRACKETS - 1) + b"]" * (MAX_BRACKETS - 1) + b"}",
    b'{"series":"a","time":1732300000000,"value":1,"x":' + b"[" * MAX_BRACKETS + b"]" * MAX_BRACKETS + b"}",
    b"[" + READING + b"]",
]
messages = st.one_of(st.sampled_from([READING, OTHER]), st.sampled_from(unusual))
stamps = st.sampled_from([(NOW, True), (NOW, False), (-1, False), (NOW // 1000, False), (-(2**63), False), (0, True)])
"""Timestamps, and whether the broker made them."""

Stamp = tuple[int, bool]


def alone(message: bytes | None, stamp: Stamp = (NOW, True)) -> object:
    try:
        return decode(message, stamp[0], DAY, stamp[1])
    except RejectedError as error:
        return str(error)


def together(many: list[bytes | None], stamps: list[Stamp] | None = None) -> list[object]:
    offsets = [10 + 3 * number for number in range(len(many))]
    timestamps, by_broker = zip(*(stamps or [(NOW, True)] * len(many)), strict=True) if many else ((), ())
    readings, rejected = decode_all(offsets, timestamps, by_broker, many, DAY)
    columns = (readings.offsets, readings.series, readings.times, readings.values)
    found = {
        offset: (readings.names[which], time, value)
        for offset, which, time, value in zip(*(column.tolist() for column in columns), strict=True)
    }
    assert [column.dtype for column in columns] == [np.int64, np.int32, np.int64, np.float64]
    assert len(found) + len(rejected) == len(many)
    return [rejected.get(number, found.get(offset)) for number, offset in enumerate(offsets)]


@given(st.lists(messages, max_size=6))
@example([READING[:14], READING[15:], READING + OTHER])
@example([b'{"series":"a","time":1732300000000,"value":1,"x":"}', b'{"}', READING + OTHER])
def test_together_as_alone(many):
    assert together(many) == [alone(message) for message in many]


@given(st.lists(st.tuples(messages, stamps), min_size=1, max_size=6))
def test_together_as_alone_whosever_the_timestamps_are(rows):
    many, given = map(list, zip(*rows, strict=True))
    assert together(many, given) == [alone(message, stamp) for message, stamp in rows]


@given(st.lists(st.tuples(st.sampled_from([READING, *AHEAD]), stamps), min_size=1, max_size=6))
def test_times_ahead_of_producers_timestamps(rows):
    many, given = map(list, zip(*rows, strict=True))
    assert together(many, given) == [alone(message, stamp) for message, stamp in rows]


def test_nothing_but_readings_is_decoded_at_once(monkeypatch):
    monkeypatch.setattr(decoding, "_each", None)
    expected = [("a", 1732300000000, 1.5), ("é", 1732300000001, -3.0), ("a", 1732300000000, 1.5)]
    assert together([READING, OTHER, READING]) == expected
    assert together([READING, OTHER, READING], [(-1, False), (0, False), (NOW, True)]) == expected
