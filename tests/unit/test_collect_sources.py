"""The pure parts of the collectors: walks, CSV rows, times, schedules."""

from io import StringIO
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import made
from oda.audit.reference import Reference
from oda.collect.check import Check
from oda.collect.csvfile import Columns, read
from oda.collect.late import Late
from oda.collect.times import Replay, parse_time
from oda.collect.timeunit import TimeUnit
from oda.collect.walk import MAX_DIRECTION, SPIKE, Walks
from oda.core.reading import MAX_TIME, MAX_VALUE, Reading
from oda.errors import UserError
from oda.settings import Window

COLUMNS = Columns("timestamp", "value", "pump")
NOW = 1_800_000_000_000
DAY = 86_400_000


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


@given(st.integers())
def test_a_number_is_read_as_it_is(time: int):
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


def rows(
    *lines: str, columns: Columns = COLUMNS, unit: TimeUnit | None = None, delimiter: str = ","
) -> tuple[list[Reading], list[tuple[int, int, str]]]:
    """The readings, and first line, last line and reason of what was left out."""
    bad: list[tuple[int, int, str]] = []
    check = Check(DAY, unit)
    text = StringIO("\n".join(lines), newline="")
    found = read(text, columns, lambda row: check.one(row, NOW), lambda *report: bad.append(report), delimiter)
    return list(found), bad


def test_series_from_a_column_and_columns_in_any_order():
    lines = ["v,pump,extra,t", f"1e3,a,?,{NOW}", f'-2," b, c",,{NOW + 1}']
    readings, bad = rows(*lines, columns=Columns("t", "v", "", "pump"))
    assert readings == [Reading("a", NOW, 1000.0), Reading(" b, c", NOW + 1, -2.0)]
    assert bad == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("then,1", "not a time"),
        ("-1,1", "before 1970"),
        (f"{MAX_TIME + 1},1", "after 2248"),
        (f"{NOW + DAY + 1},1", "ahead"),
        ("2099-01-01 00:00:00,1", "ahead"),
        ("1396310400,1", "seconds? (oda collect --time-unit s)"),
        ("1396310400.5,1", "seconds with a fraction? (oda collect --time-unit s)"),
        ("1396310400123456,1", "microseconds?"),
        ("20140401,1", "January 1970 as epoch ms: a date?"),
        ("20140401000500,1", "a date?"),
        (f"{NOW},", "not a number"),
        (f"{NOW},nan", "not a number"),
        (f"{NOW},inf", "not a number"),
        (f"{NOW},1_000", "not a number"),
        (f"{'1' * 5000},1", "4300 digits"),
        (f"{NOW},-{MAX_VALUE * 10}", "beyond"),
        (f"{NOW}", "1 instead of 2"),
        (f"{NOW},2,3", "3 instead of 2"),
        (f"{NOW},{'9' * 200_000}", "field larger"),
        (f'{NOW},"1"2', "expected after"),
        ("\0" * 512, "1 instead of 2"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_next_one_read(row: str, reason: str):
    readings, bad = rows("timestamp,value", f"{NOW},1", "", row, f"{NOW + 1},2")
    assert readings == [Reading("pump", NOW, 1.0), Reading("pump", NOW + 1, 2.0)]
    assert [lines for *lines, _ in bad] == [[4, 4]]
    assert reason in bad[0][2]


@pytest.mark.parametrize("name", ["", "x" * 250, "caf\udce9"])
def test_what_is_no_name_of_a_series_is_a_bad_row(name: str):
    readings, bad = rows("t,v,s", f"{NOW},1,{name}", columns=Columns("t", "v", "", "s"))
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


NOTED = "timestamp,value,note"


def noted(notes: dict[int, str], count: int = 1000) -> tuple[list[Reading], list[tuple[int, int, str]]]:
    """A file of so many rows with notes, of which these stand in the lines given, as they are written."""
    lines = [f"{NOW + line},{line},{notes.get(line, 'note')}" for line in range(2, count + 2)]
    return rows(NOTED, *lines)


@pytest.mark.parametrize(
    ("notes", "swallowed"),
    [
        ({101: '"note', 901: '"note'}, [(101, 901)]),  # what follows the second quote shows that something is wrong
        ({101: '"note', 901: 'note"'}, [(101, 901)]),  # closed as it should be: one field of 801 lines
        ({101: '"note', 102: 'note"'}, [(101, 102)]),
        ({101: '"note', 103: '",""'}, [(101, 103)]),  # another number of fields
        ({901: '"note'}, [(901, 1001)]),  # never closed
        ({1001: '"note'}, [(1001, 1001)]),  # as a file ends that was cut off
        ({101: '"note', 201: 'note"', 501: '"note', 502: 'note"'}, [(101, 201), (501, 502)]),
    ],
)
def test_what_a_stray_quote_swallows_is_reported_and_the_rest_read(notes, swallowed):
    readings, bad = noted(notes)
    assert [(first, last) for first, last, _ in bad] == swallowed
    left_out = {line for first, last in swallowed for line in range(first, last + 1)}
    assert [int(reading.value) for reading in readings] == [n for n in range(2, 1002) if n not in left_out]
    assert all("quote" in reason or "fields" in reason for first, last, reason in bad if last > first)


def test_a_quote_that_swallows_a_large_file_does_so_for_a_while_only():
    readings, bad = noted({101: '"note'}, count=20_000)
    assert bad[0][0] == 101
    assert "field larger" in bad[0][2]
    assert len(readings) + bad[0][1] - 100 == 20_000


@pytest.mark.parametrize(
    "note",
    ['"two\nlines"', '"\n"', '"a ""quoted"" one\r\n\r\n"', 'inch 5"', '"1,2\n3,4,5\nx,y"', f'"{NOTED}\n?,?,?"', ""],
)
def test_a_field_may_hold_line_breaks_and_quotes(note):
    readings, bad = noted({101: note})
    assert bad == []
    assert len(readings) == 1000


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(encoding):
    with pytest.raises(UserError, match=r"UTF-16.*iconv"):
        rows("\ufefftimestamp,value".encode(encoding).decode("utf-8-sig", "surrogateescape"))


@pytest.mark.parametrize(("delimiter", "shown"), [(";", "';'"), ("\t", r"'\\t'"), ("|", r"'\|'")])
def test_another_delimiter_is_guessed_and_taken_when_it_is_given(delimiter, shown):
    lines = [delimiter.join(["timestamp", "value"]), delimiter.join([str(NOW), "1"])]
    with pytest.raises(UserError, match=rf"separated by {shown}, not ',': give --delimiter {shown}"):
        rows(*lines)
    assert rows(*lines, delimiter=delimiter) == ([Reading("pump", NOW, 1.0)], [])


def test_a_column_that_is_needed_must_be_there_once():
    with pytest.raises(UserError, match="more than one column 'value'"):
        rows("timestamp,value,value", f"{NOW},1,2")
    assert rows("timestamp,value,note,note", f"{NOW},1,2,3") == ([Reading("pump", NOW, 1.0)], [])


@pytest.mark.parametrize(
    ("time", "unit", "ms"),
    [
        ("1396310400", "s", 1396310400000),
        ("1396310400.1239996", "s", 1396310400124),
        ("0", "s", 0),
        ("1396310400123", "ms", 1396310400123),
        ("5", "ms", 5),
        ("1396310400123.0", "ms", 1396310400123),
        ("1396310400123999", "us", 1396310400123),
        ("1396310400123999999", "ns", 1396310400123),
        (str(MAX_TIME // 1000), "s", MAX_TIME // 1000 * 1000),
        ("2014-04-01 00:00:00", "ns", 1396310400000),
    ],
)
def test_numbers_are_of_the_unit_that_is_given(time, unit, ms):
    check = Check(MAX_TIME, TimeUnit(unit))
    found = read(["timestamp,value", f"{time},1"], COLUMNS, lambda message: check.one(message, NOW), bad=pytest.fail)
    assert list(found) == [Reading("pump", ms, 1.0)]


@pytest.mark.parametrize(("time", "unit"), [("-1", "s"), (str(MAX_TIME), "s"), ("1e3", "s"), (str(MAX_TIME + 1), "ms")])
def test_a_number_that_is_no_time_in_its_unit_is_refused(time, unit):
    readings, bad = rows("timestamp,value", f"{time},1", unit=TimeUnit(unit))
    assert (readings, len(bad)) == ([], 1)


def replayed(times: list[int], speed: float, longest_pause: float) -> tuple[list[float], list[float]]:
    """When each is due, and the pauses that were cut."""
    cut: list[float] = []
    replay = Replay(0, speed, False, longest_pause, lambda _, pause: cut.append(pause))
    return [due for due, _ in replay.schedule(Reading("a", time, 1.0) for time in times)], cut


def test_a_first_row_of_1970_holds_nothing_up():
    assert replayed([0, NOW, NOW + 10], speed=1, longest_pause=60_000) == ([0, 60_000, 60_010], [NOW])


def test_a_stray_row_far_ahead_costs_one_pause_and_leaves_the_pace():
    times = [NOW, NOW + 600, MAX_TIME, NOW + 1200, NOW + 1800]
    due, cut = replayed(times, speed=600, longest_pause=5_000)
    assert due == pytest.approx([0, 1, 5001, 5001, 5002])
    assert len(cut) == 1


@given(st.lists(st.integers(0, MAX_TIME), min_size=1), st.sampled_from([0.5, 1.0, 60.0]), st.integers(0, MAX_TIME))
def test_no_pause_is_longer_than_the_longest(times, speed, longest):
    due, _ = replayed(times, speed, longest)
    latest = 0.0
    for one in due:
        assert one - latest <= longest * (1 + 1e-9)
        latest = max(latest, one)


def test_rows_that_are_a_little_out_of_order_do_not_change_the_pace():
    times = [0, 10, 5, 20, 15, 30]
    assert replayed(times, speed=1, longest_pause=100) == (times, [])


def late(times: list[int], **window: int) -> Late:
    found = Late(Window(**window))
    for time in times:
        found.add(Reading("pump", time, 1.0))
    return found


def test_rows_with_the_newest_first_are_late_and_the_way_out_is_named():
    minutes = [NOW + minute * 60_000 for minute in reversed(range(1440))]
    found = late(minutes, size_ms=3_600_000)
    assert str(found).startswith("1380 of 1440 readings come late")
    assert "oda.window.size_ms = 3600000" in str(found)
    needed = int(str(found).rpartition("lateness_ms to ")[2].split()[0])
    assert late(minutes, size_ms=3_600_000, lateness_ms=needed).count == 0
    assert late(minutes, size_ms=3_600_000, lateness_ms=needed - 1).count > 0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60)), max_size=40),
    st.integers(1, 20),
    st.integers(0, 30),
)
def test_those_are_late_that_the_reference_counts_as_late(log, size, lateness):
    window = Window(size_ms=size, lateness_ms=lateness)
    found, reference = Late(window), Reference(made.settings(window=window))
    for offset, (series, time) in enumerate(log):
        found.add(Reading(series, time, 1.0))
        reference.read(offset, Reading(series, time, 1.0))
    assert found.count == sum(series.late for series in reference._series.values())


def test_a_series_that_was_not_heard_of_for_long_is_forgotten(monkeypatch):
    monkeypatch.setattr("oda.collect.late.MEMORY", 2)
    found = Late(Window())
    for series in ("a", "b", "a", "c"):
        found.add(Reading(series, NOW, 1.0))
    assert list(found._largest) == ["a", "c"]
