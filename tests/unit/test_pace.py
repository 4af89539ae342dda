"""How much may be on its way: no more than the stores take within the time."""

from hypothesis import given
from hypothesis import strategies as st

from oda.core.pace import Pace


def test_it_starts_with_the_least_and_falls_back_to_it_when_nothing_is_acknowledged():
    pace = Pace(least=10, most=100, seconds=10)
    assert pace.limit(0) == 10
    pace.acked(50, 1)
    assert pace.limit(2) == 50
    assert pace.limit(11) == 10


def test_after_a_time_out_only_what_is_acknowledged_counts():
    pace = Pace(least=10, most=100, seconds=10)
    pace.timed_out()
    assert pace.limit(0) == 1
    pace.acked(5, 1)
    assert pace.limit(2) == 5


def test_it_never_exceeds_the_most():
    pace = Pace(least=10, most=100, seconds=10)
    pace.acked(500, 1)
    assert pace.limit(1) == 100


@given(st.integers(1, 10_000), st.integers(1, 1_000))
def test_a_store_of_any_rate_is_never_given_more_than_it_takes_in_the_time(rate, least):
    pace, waiting, ages = Pace(least, 10**9, seconds=10), [], []
    for second in range(100):
        room = pace.limit(second) - sum(count for _, count in waiting)
        if room > 0:
            waiting.append((second, room))
        left = rate
        while waiting and left:
            at, count = waiting.pop(0)
            done = min(left, count)
            left -= done
            pace.acked(done, second)
            if done < count:
                waiting.insert(0, (at, count - done))
        if waiting:
            ages.append(second - waiting[0][0])
    assert max(ages, default=0) <= max(10, least / rate) + 1
