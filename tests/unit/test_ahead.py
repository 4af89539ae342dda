"""A record's timestamp refuses what can't be meant, and nothing because a producer's clock is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.audit.message import read_message
from oda.core.ahead import FIRST_STAMP, SLOW_CLOCK_MS
from oda.core.reading import MAX_TIME, MIN_NUMBER, Reading, RejectedError, decode, encode

NOW, DAY = 1_800_000_000_000, 86_400_000


def accepted(time: int, timestamp: int, by_broker: bool, max_ahead: int = DAY) -> bool:
    """Both implementations say so."""
    message = b'{"series": "a", "time": %d, "value": 1}' % time
    audited = read_message(message, timestamp, max_ahead, by_broker) is not None
    try:
        decode(message, timestamp, max_ahead, by_broker)
    except RejectedError:
        assert not audited
        return False
    assert audited
    return True


@pytest.mark.parametrize("timestamp", [-1, 0, NOW // 1000, NOW // 60_000, FIRST_STAMP - 1, -(2**63)])
def test_a_producers_timestamp_that_can_not_be_a_time_refuses_nothing(timestamp):
    assert accepted(NOW, timestamp, by_broker=False)
    assert accepted(MAX_TIME, timestamp, by_broker=False)


def test_a_producers_clock_may_be_slow_by_a_year_and_no_more():
    for days in (0, 2, 30, 366):
        assert accepted(NOW, NOW - days * DAY, by_broker=False)
    assert not accepted(NOW, NOW - 366 * DAY - 1, by_broker=False)
    assert accepted(NOW, NOW - 1000 * DAY, by_broker=False, max_ahead=1000 * DAY)
    assert not accepted(NOW, NOW - 1000 * DAY - 1, by_broker=False, max_ahead=1000 * DAY)


def test_the_brokers_clock_is_believed():
    for timestamp in (MIN_NUMBER, FIRST_STAMP, NOW):
        assert accepted(timestamp + DAY, timestamp, by_broker=True)
        assert not accepted(timestamp + DAY + 1, timestamp, by_broker=True)


def test_a_year_2099_is_refused_by_either_clock():
    for by_broker in (True, False):
        assert not accepted(4_070_908_800_000, NOW, by_broker)


@given(
    st.sampled_from([-(2**63), -1, 0, 1, FIRST_STAMP, NOW // 1000, NOW, NOW * 1000, MAX_TIME, 2**63 - 1]),
    st.sampled_from([0, DAY, SLOW_CLOCK_MS, MAX_TIME]),
    st.sampled_from([0, DAY, SLOW_CLOCK_MS, MAX_TIME]),
    st.integers(-1, 1),
    st.booleans(),
)
def test_both_implementations_draw_the_line_at_the_same_millisecond(timestamp, max_ahead, ahead, more, by_broker):
    time = timestamp + ahead + more
    is_right = MIN_NUMBER <= time <= MAX_TIME and (
        (ahead + more <= max_ahead)
        if by_broker
        else (timestamp < FIRST_STAMP or ahead + more <= max(max_ahead, SLOW_CLOCK_MS))
    )
    assert accepted(time, timestamp, by_broker, max_ahead) == is_right


@pytest.mark.parametrize(
    ("timestamp", "by_broker", "said"),
    [
        (NOW, True, f"more than {DAY} ms ahead of {NOW}, when it came"),
        (NOW, False, f"more than {SLOW_CLOCK_MS} ms ahead of {NOW}, the time that its producer stamped on it"),
        (-1, False, "after 2248"),
    ],
)
def test_the_reason_names_whose_clock_it_was(timestamp, by_broker, said):
    message = encode(Reading("a", NOW * 2 if timestamp > 0 else MAX_TIME + 1, 1.0))
    with pytest.raises(RejectedError, match=said):
        decode(message, timestamp, DAY, by_broker)
