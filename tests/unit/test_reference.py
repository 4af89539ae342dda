"""The reference by example: each rule of the semantics, small enough to check by hand."""

from __future__ import annotations

import doctest
import random
from fractions import Fraction
from math import sqrt

import pytest

import made
from oda.audit import reference
from oda.audit.message import ClockRecord
from oda.audit.reference import Reference
from oda.core.reading import Reading
from oda.settings import Judge, Window


def run(readings: list[tuple[int, float]], judge: Judge | None = None, **window: int) -> Reference:
    """One series "a", offsets 0, 1, 2, ..., windows of 10 ms unless said otherwise."""
    result = Reference(made.settings(window=Window(**{"size_ms": 10, **window}), judge=judge or Judge()))
    for offset, (time, value) in enumerate(readings):
        result.read(offset, Reading("a", time, value))
    return result


def test_the_docstrings_example() -> None:
    assert doctest.testmod(reference).failed == 0


def test_a_window_closes_with_the_reading_that_ends_it() -> None:
    (window,) = run([(0, 1.0), (9, 3.0), (10, 100.0)]).windows
    assert (window.series, window.start, window.end) == ("a", 0, 10)
    assert (window.count, window.mean, window.stddev) == (2, 2.0, 1.0)
    assert (window.first_offset, window.last_offset) == (0, 1)
    assert (window.closed_at, window.closed_by, window.late) == (2, "data", 0)


def test_an_empty_window_is_no_window() -> None:
    assert [w.start for w in run([(0, 1.0), (55, 1.0), (60, 1.0)]).windows] == [0, 50]


def test_a_closing_reading_is_judged_against_the_window_it_closes() -> None:
    result = run([(0, 4.0), (5, 6.0), (10, 9.5), (11, 9.0)])
    (anomaly,) = result.anomalies  # 9.5 is 4.5 deviations from 5; 9.0 is exactly 4, and "further than" is strict
    score = 51.68  # -10 log10 of how much of normal noise is beyond 4.5 deviations, 6.8e-6
    assert anomaly == reference.Anomaly(
        "a", 10, 2, 9.5, 5.0, 1.0, 2, 0, "sigma/1", score, 5.0, 1.0, 9.0, found_at=2, rules=0
    )


def test_beyond_any_noise_the_score_is_100() -> None:
    assert [a.score for a in run([(0, 4.0), (1, 6.0), (10, 1e9)]).anomalies] == [100.0]
    assert [a.score for a in run([(0, 5.0), (1, 5.0), (10, 5.5)]).anomalies] == [100.0]


def test_nothing_is_an_anomaly_before_a_window_closed() -> None:
    assert run([(0, 1.0), (1, 1.0), (2, 1e9)]).anomalies == []


def test_late_readings_change_no_window_and_are_judged_and_counted() -> None:
    result = run([(0, 4.0), (1, 6.0), (10, 5.0), (3, 500.0), (19, 5.0), (9, 5.0), (20, 5.0)])
    first, second = result.windows
    assert (first.count, first.mean, first.late) == (2, 5.0, 0)
    assert (second.count, second.first_offset, second.last_offset, second.late) == (2, 2, 4, 2)
    assert [(a.offset, a.time, a.window_start) for a in result.anomalies] == [(3, 3, 0)]


def test_lateness_keeps_windows_open_and_closes_them_in_order() -> None:
    result = run([(0, 1.0), (11, 1.0), (5, 3.0), (14, 1.0), (35, 1.0)], lateness_ms=5)
    assert [(w.start, w.count, w.closed_at) for w in result.windows] == [(0, 2, 4), (10, 2, 4)]
    at_the_edge = run([(0, 1.0), (14, 1.0), (9, 1.0), (15, 1.0), (9, 1.0)], lateness_ms=5)
    assert [(w.start, w.count, w.closed_at) for w in at_the_edge.windows] == [(0, 2, 3)]


def test_lateness_judges_against_the_newest_closed_window() -> None:
    result = run([(0, 1.0), (1, 1.0), (10, 7.0), (11, 7.0), (25, 7.0)], lateness_ms=5)
    assert [a.window_start for a in result.anomalies] == []  # judged against [10, 20), not [0, 10)


def test_min_count_and_min_stddev() -> None:
    one = [(0, 5.0), (10, 900.0)]
    assert run(one).anomalies == []
    assert [a.offset for a in run(one, Judge(min_count=1)).anomalies] == [1]
    flat = [(0, 5.0), (1, 5.0), (10, 5.0), (11, 5.001)]
    assert [a.offset for a in run(flat).anomalies] == [3]
    assert run(flat, Judge(min_stddev=0.001)).anomalies == []


def test_the_clock_closes_between_records() -> None:
    result = Reference(made.settings(window=Window(size_ms=10)))
    result.read(3, Reading("a", 1, 1.0))
    result.read(4, Reading("a", 2, 3.0))
    result.read_clock(5, ClockRecord("oda", 5, {"a": 0}))
    (window,) = result.windows
    assert (window.count, window.mean, window.closed_at, window.closed_by) == (2, 2.0, 5, "clock")
    result.read(6, Reading("a", 9, 50.0))  # late, though its series' watermark is still within the window
    result.read(7, Reading("a", 10, 2.0))
    result.read(8, Reading("a", 20, 2.0))
    assert [a.offset for a in result.anomalies] == [6]
    assert [(w.start, w.count, w.closed_by, w.late) for w in result.windows[1:]] == [(10, 1, "data", 1)]


def test_the_clock_closes_earlier_windows_too_and_only_open_ones() -> None:
    result = Reference(made.settings(window=Window(size_ms=10, lateness_ms=30)))
    result.read(0, Reading("a", 15, 1.0))
    result.read(1, Reading("a", 5, 1.0))
    result.read_clock(2, ClockRecord("oda", 2, {"b": 0}))
    assert result.windows == []
    result.read_clock(3, ClockRecord("oda", 2, {"a": 40}))
    assert [(w.start, w.closed_at) for w in result.windows] == [(0, 3), (10, 3)]
    result.read(4, Reading("a", 25, 1.0))
    assert result.windows[2:] == [], "only what was open has closed"


@pytest.mark.parametrize(("position", "closes"), [(0, False), (4, False), (5, True), (9, True)])
def test_the_clock_closes_nothing_of_a_series_that_its_record_had_not_heard(position: int, closes: bool) -> None:
    result = Reference(made.settings(window=Window(size_ms=10)))
    result.read(3, Reading("a", 11, 1.0))
    result.read(4, Reading("a", 5, 1.0))  # a late one tells as well that the series lives
    result.read_clock(9, ClockRecord("oda", position, {"a": 10}))
    assert bool(result.windows) == closes


def test_series_are_independent() -> None:
    result = Reference(made.settings(window=Window(size_ms=10)))
    for offset, (series, time) in enumerate([("a", 0), ("b", 1000), ("a", 5), ("a", 10), ("b", 1010)]):
        result.read(offset, Reading(series, time, 1.0))
    assert [(w.series, w.start, w.count) for w in result.windows] == [("a", 0, 2), ("b", 1000, 1)]


@pytest.mark.parametrize("centre", [0.0, 1e9, -1e9])
def test_statistics_hold_far_from_zero(centre: float) -> None:
    source = random.Random(7)
    values = [centre + source.gauss(0, 1e-3) for _ in range(1000)]
    (window,) = run([(0, value) for value in values] + [(10, centre)]).windows
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    assert window.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12)
    assert window.stddev == pytest.approx(sqrt(variance), rel=1e-9)
