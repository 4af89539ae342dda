"""Many rows of a CSV file at once have the meaning that each has by itself."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oda.collect import csvparts
from oda.collect.check import Check
from oda.collect.csvfile import Columns, read
from oda.collect.csvparts import read_parts
from oda.collect.timeunit import TimeUnit
from oda.core.reading import MAX_TIME, Reading

COLUMNS = Columns("t", "v", "", "s")
NOW = 1_800_000_000_000

times = st.one_of(
    st.integers(-1, 2 * MAX_TIME).map(str),
    st.integers(NOW, NOW + 1000).map(str),
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    st.sampled_from(["20140401", "20140401T10:00", "2014-04-01", " 2014-04-01 00:00:00 ", "1396310400.5", "٢٠١٤", ""]),
)
values = st.one_of(
    st.floats().map(repr), st.sampled_from(["1", " 2 ", "1_0", "n/a", "", "1e101", "-1e100", "٣", "-0.0", '"3"', '"'])
)
names = st.one_of(st.sampled_from(["a", "b", "", "x" * 249, "x" * 250, "é", '"a""b"', "\x7f"]), st.text(max_size=3))
rows = st.one_of(
    st.tuples(times, values, names).map(",".join),
    st.tuples(st.integers(NOW, NOW + 1000).map(str), st.floats(-9, 9).map(repr), st.sampled_from("ab")).map(",".join),
    st.sampled_from(["", "1,2", f"{NOW},1,a,b"]),
)


def one_by_one(lines: list[str], unit: TimeUnit | None) -> tuple[list[Reading], list[tuple[int, int, str]]]:
    bad: list[tuple[int, int, str]] = []
    check = Check(0, unit)
    found = read(lines, COLUMNS, lambda row: check.one(row, MAX_TIME), lambda *report: bad.append(report))
    return list(found), bad


def together(lines: list[str], unit: TimeUnit | None) -> tuple[list[Reading], list[tuple[int, int, str]]]:
    bad: list[tuple[int, int, str]] = []
    found = []
    for part in read_parts(lines, COLUMNS, Check(0, unit), lambda *report: bad.append(report)):
        assert part.offsets.tolist() == list(range(len(part.times)))
        names = [part.names[code] for code in part.series.tolist()]
        found += map(Reading, names, part.times.tolist(), part.values.tolist())
    return found, bad


@given(st.lists(rows, max_size=12), st.sampled_from([None, *TimeUnit]), st.sampled_from([2, 3, 8192]))
@example([f"{NOW},1,a", f'{NOW},2,"a', f'{NOW}",3,a'], None, 2)
@example([f"{NOW},1,a", "", f"{NOW},2,a"], TimeUnit.MS, 2)
@example(["2014-04-01 00:00:00,1,a", "20140401,2,a"], None, 8192)
@example(["2014-04-01 00:00:00,1,a", "2014-04-01x00:00:00.5,2,a"], None, 8192)
@example(["2014-04-01 00:00:00,1,a", "2014-04-01T00:00:00.123456,2,a"], None, 8192)
@example(["2014-04-01 00:00:00,1,a", "2014-04-01 00:00:00.1239+01,2,a"], None, 8192)
@example(["2014-04-01 00:00:00,1,a", "2014-04-01T00:00:00.5Z,2,a", "2014-04-01T00:00:00+00:00,3,a"], None, 8192)
@example(["2014-04-01T00:00:00Z,1,a", "2014-04-01T00:00:00+00:00Z,2,a"], None, 8192)
@example(["2014-04-01T00:00:00Z,1,a", "2014-04-01Z,2,a", "2014-04-01+00:00,3,a"], None, 8192)
@example(["2014-04-01T00:00:00Z,1,a", "2014-04-01T00:00:00.5+02Z,2,a", "2014-04-01T00:00:00-00:00,3,a"], None, 8192)
@example(["2014-W14-2T00:00:00,1,a", "2014-04-01 00:00:00,2,a"], None, 8192)
def test_rows_mean_the_same_together_as_one_by_one(lines: list[str], unit: TimeUnit | None, size: int) -> None:
    lines = ["t,v,s\n", *(f"{line}\n" for line in lines)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvparts, "_ROWS", size)
        found, expected = together(lines, unit), one_by_one(lines, unit)
    assert repr(found) == repr(expected)  # which tells 0.0 from -0.0


@pytest.mark.parametrize("size", [1, 2, 100])
def test_what_follows_a_row_that_is_none_is_read(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(csvparts, "_ROWS", size)
    lines = ["t,v,s\n", f"{NOW},1,a\n", f'{NOW},"2"x,a\n', f"{NOW},3,a\n", f"{NOW},,a\n", f"{NOW},5,b\n"]
    found, bad = together(lines, None)
    assert [reading.value for reading in found] == [1, 3, 5]
    assert [report[:2] for report in bad] == [(3, 3), (5, 5)]
