"""The pure parts of the collectors: walks, CSV rows, times, schedules."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.collect.csvfile import Columns, read
from oda.collect.times import Replay, parse_time
from oda.collect.walk import MAX_DIRECTION, SPIKE, Walks
from oda.core.reading import MAX_TIME, MAX_VALUE, Reading
from oda.errors import UserError

COLUMNS = Columns("timestamp", "value", "pump")


def take(walks: Walks, count: int) -> list[Reading]:
    return list(islice(walks.readings(), count))


def test_the_same_seed_gives_the_same_walk():
    walks = Walks(series=3, start=1_000, interval=2.5, seed=7, spikes=5)
    assert take(walks, 500) == take(walks, 500)
    assert take(walks, 500) != take(Walks(3, 1_000, 2.5, seed=8, spikes=5), 500)


def test_a_walk_steps_at_most_its_largest_direction_and_starts_at_0():
    values = [0.0, *(reading.value for reading in take(Walks(1, 0, 10, seed=1), 2_000))]
    steps = [after - before for before, after in pairwise(values)]
    assert max(map(abs, steps)) <= MAX_DIRECTION + 1e-9
    assert {round(step, 9) for step in steps} > {-MAX_DIRECTION, MAX_DIRECTION}


def test_series_take_turns_at_the_interval():
    readings = take(Walks(series=2, start=100, interval=2.5), 4)
    assert [(reading.series, reading.time) for reading in readings] == [
        ("walk-0", 100),
        ("walk-1", 102),
        ("walk-0", 105),
        ("walk-1", 107),
    ]


def test_spikes_displace_readings_and_leave_the_walk_alone():
    calm, spiked = (take(Walks(2, 0, 1, seed=1, spikes=spikes), 10_000) for spikes in (0, 50))
    moved = [b.value - a.value for a, b in zip(calm, spiked, strict=True) if a != b]
    assert 150 < len(moved) < 250
    assert {round(value, 6) for value in moved} == {SPIKE, -SPIKE}


@given(st.integers(0, MAX_TIME))
def test_epoch_ms_is_read_as_it_is(time: int):
    assert parse_time(str(time)) == time


@given(st.datetimes())
def test_a_time_without_a_zone_is_utc(moment):
    text = moment.isoformat(" ")
    assert parse_time(text) == parse_time(text + "Z")


@pytest.mark.parametrize("text", ["", "yesterday", "2014-13-01 00:00:00", "1.5", "٣", "--5"])
def test_what_is_no_time_is_named(text: str):
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


@given(st.lists(st.integers(0, MAX_TIME), min_size=1), st.sampled_from([0.5, 1.0, 60.0]))
def test_a_shifted_replay_has_each_reading_at_its_due_time(times, speed):
    recorded = [Reading("a", time, 1.0) for time in times]
    replayed = list(Replay(start=5_000, speed=speed, shift=True).schedule(recorded))
    assert replayed[0][0] == 5_000
    assert all(reading.time == int(due) for due, reading in replayed)


def test_without_a_speed_all_is_due_at_once():
    recorded = [Reading("a", 1, 1.0), Reading("a", 10**12, 1.0)]
    assert list(Replay(start=9, speed=None).schedule(recorded)) == [(9.0, recorded[0]), (9.0, recorded[1])]


def rows(*lines: str, columns: Columns = COLUMNS) -> tuple[list[Reading], list[tuple[int, str]]]:
    bad: list[tuple[int, str]] = []
    return list(read(lines, columns, lambda line, reason: bad.append((line, reason)))), bad


def test_series_from_a_column_and_columns_in_any_order():
    readings, bad = rows("v,pump,extra,t", "1e3,a,?,5", '-2," b, c",,6', columns=Columns("t", "v", "", "pump"))
    assert readings == [Reading("a", 5, 1000.0), Reading(" b, c", 6, -2.0)]
    assert bad == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("then,1", "not a time"),
        ("-1,1", "before 1970"),
        (f"{MAX_TIME + 1},1", "after 2248"),
        ("1,", "not a number"),
        ("1,nan", "not a number"),
        ("1,inf", "not a number"),
        ("1,1_000", "not a number"),
        (f"{'1' * 5000},1", "4300 digits"),
        (f"1,-{MAX_VALUE * 10}", "not a number"),
        ("1", "1 instead of 2"),
        ("1,2,3", "3 instead of 2"),
        (f"1,{'9' * 200_000}", "field larger"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_next_one_read(row: str, reason: str):
    readings, bad = rows("timestamp,value", "1,1", "", row, "2,2")
    assert readings == [Reading("pump", 1, 1.0), Reading("pump", 2, 2.0)]
    assert [line for line, _ in bad] == [4]
    assert reason in bad[0][1]


@pytest.mark.parametrize("name", ["", "x" * 250, "caf\udce9"])
def test_what_is_no_name_of_a_series_is_a_bad_row(name: str):
    readings, bad = rows("t,v,s", f"1,1,{name}", columns=Columns("t", "v", "", "s"))
    assert (readings, len(bad)) == ([], 1)


@pytest.mark.parametrize("lines", [[], ["time,value"], ["\x1b[2J"]])
def test_a_missing_column_is_named_with_those_there_are(lines):
    with pytest.raises(UserError, match=r"there is no column .*'timestamp'.*; the columns are: ") as error:
        rows(*lines)
    assert "\x1b" not in str(error.value)


@given(st.lists(st.text(), max_size=20))
def test_whatever_a_row_holds_it_is_a_reading_or_reported(texts):
    lines = [text.replace('"', "").replace("\r", "").replace("\n", "") for text in texts]
    readings, bad = rows("timestamp,value", *lines)
    assert len(readings) + len(bad) == sum(1 for line in lines if line)
