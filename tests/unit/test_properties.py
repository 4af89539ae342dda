"""Properties of the machines: any cut of a log into batches, and any restart, gives what the reference says.

What happens when things fail is tried with the real components, in `tests/sim`.
"""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made
from oda.audit import message
from oda.audit.reference import Reference
from oda.core import snapshot
from oda.core.bands import Now, columns_of, judge
from oda.core.batch import Batch, ClockMark, Closings, Readings
from oda.core.detectors.contract import Band
from oda.core.judgement import Judgement
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.reading import Reading
from oda.core.rules.rule import rule_of_options
from oda.core.windows import PartitionWindows
from oda.settings import Judge, Window

Row = ClosedWindow | Anomaly
Log = dict[int, Reading | ClockMark]  # by offset; an offset that is not there is a gap or was rejected

rules = st.builds(
    Window,
    size_ms=st.sampled_from([1, 10]),
    lateness_ms=st.sampled_from([0, 3, 25]),
    idle_ms=st.sampled_from([0, 5]),
    expire_ms=st.sampled_from([60, 1_000_000]),
)
judgements = st.builds(
    Judge,
    sigmas=st.sampled_from([0.5, 1.0, 4.0]),
    min_count=st.integers(1, 3),
    min_stddev=st.sampled_from([0.0, 0.5]),
)
values = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e9, 1e9 + 1e-3, 1e100, -1e100]), st.floats(-1e100, 1e100), st.floats(-2, 2)
)
names = st.sampled_from("abc")
steps = st.lists(st.tuples(st.integers(0, 3), names, st.integers(-15, 12), values), max_size=30)
"""Readings to be: offsets that are skipped before it, series, step in time, value."""
clocks = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.integers(0, 120),
        st.dictionaries(names, st.integers(0, 60)),
        st.lists(names, max_size=2),
    ),
    max_size=6,
)
"""Clock records to be: offset, position, the windows that they close, the series that they end."""


def extend(log: Log, end: int, now: int, added: list[tuple[int, str, int, float]]) -> tuple[int, int]:
    """Add readings to a log; returns its end and newest time."""
    for gap, series, step, value in added:
        now = max(0, now + step)
        log[end + gap] = Reading(series, now, value)
        end += gap + 1
    return end, now


def batch_of(log: Log, start: int, end: int, *, epoch: int = 1, committed: int = 0, clock: int = 0) -> Batch:
    part = {offset: log[offset] for offset in sorted(log) if start <= offset < end}
    readings = {offset: entry for offset, entry in part.items() if isinstance(entry, Reading)}
    marks = [entry for entry in part.values() if isinstance(entry, ClockMark)]
    columns = Readings.of(list(readings), list(readings.values()))
    batch = Batch(0, epoch, 0, start, end, committed, clock, columns, marks)
    return Batch.from_tuple(batch.to_tuple())


def reference_of(log: Log, window: Window, judgement: Judge) -> Reference:
    """One pass over the log."""
    reference = Reference(made.settings(window=window, judge=judgement))
    for offset in sorted(log):
        entry = log[offset]
        if isinstance(entry, Reading):
            reference.read(offset, entry)
        else:
            reference.read_clock(offset, message.ClockRecord("", entry.position, entry.through, tuple(entry.ended)))
    return reference


def by_place(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.first_offset if isinstance(row, ClosedWindow) else row.offset)


@settings(max_examples=500, deadline=None)
@given(steps, clocks, st.lists(st.integers(0, 120), max_size=12), st.lists(st.integers(0, 120)), rules, judgements)
def test_any_cut(
    added: list[tuple[int, str, int, float]],
    records: list[tuple[int, int, dict[str, int], list[str]]],
    cuts: list[int],
    restarts: list[int],
    window: Window,
    judgement: Judge,
) -> None:
    log: Log = {}
    end, _ = extend(log, 0, 0, added)
    for offset, position, through, ended in records:
        log.setdefault(offset, ClockMark(offset, position, through, ended))
        end = max(end, offset + 1)
    restarts = [min(cut, end) for cut in restarts]
    ends = sorted({min(cut, end) for cut in cuts} | {end})
    made_up = made.settings(window=window, judge=judgement)
    windows, judged = PartitionWindows(made_up), Judgement(made_up)
    parts_of_windows, parts_of_judged = [snapshot.encode(windows)], [snapshot.encode(judged)]
    closed: list[ClosedWindow] = []
    anomalies: list[Anomaly] = []
    for start, stop in zip([0, *ends], ends, strict=False):
        batch = batch_of(log, start, stop)
        windows.apply(batch)
        outputs = windows.outputs(batch)
        closed += outputs["closed"]
        judged.apply(batch._replace(closings=Closings.from_text(Closings.of(0, outputs).to_text())))
        anomalies += judged.outputs(batch)["anomalies"]
        parts_of_windows.append(snapshot.encode_changes(windows))
        parts_of_judged.append(snapshot.encode_changes(judged))
        if start in restarts:
            windows = snapshot.decode(parts_of_windows, PartitionWindows(made_up))
            judged = snapshot.decode(parts_of_judged, Judgement(made_up))
            assert windows.outputs(batch) == outputs
    reference = reference_of(log, window, judgement)
    assert by_place([*closed]) == by_place([*reference.windows])
    assert anomalies == reference.anomalies


def test_a_band_that_begins_after_the_last_reading_applies_to_none() -> None:
    """The clock may close a window at an offset behind a batch's last reading, among rejected messages."""
    readings = Readings.of([0, 3], [Reading("a", 0, 5.0), Reading("b", 0, 5.0)])
    rule = rule_of_options(made.settings())

    def change(series: str, since: int, mean: float) -> Now:
        return Now(series, since, rule, None, [Band(mean, 0.0, 0.0, 0.0, inf)])

    changes = [change("a", 1, 5.0), change("a", 8, 5.0), change("b", 3, 1.0)]
    found = judge(readings, {}, [], changes, columns_of(changes), 0)
    assert [anomaly.offset for _, anomaly in found] == [3]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_clock_record_says_nothing_of_a_series_that_its_writer_had_not_heard(position: int) -> None:
    log: Log = {0: Reading("a", 0, 1.0), 1: Reading("a", 1, 2.0), 5: ClockMark(5, position, {"a": 0})}
    machine = PartitionWindows(made.settings(window=Window(size_ms=10)))
    batch = batch_of(log, 0, 6)
    machine.apply(batch)
    assert [row.closed_at for row in machine.outputs(batch)["closed"]] == ([5] if position == 2 else [])
