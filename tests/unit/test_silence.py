"""Silence: whose windows are over, as one run of the spout saw it."""

from __future__ import annotations

from made import settings
from oda.core.batch import Batch, ClockMark, Readings, RuleMark
from oda.core.reading import Reading
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows
from oda.settings import Window

OPEN = {"a": 500, "b": 2500}
"""By series the time of its only reading: its windows are over 1,100 ms after their start."""


def applied() -> PartitionWindows:
    windows = PartitionWindows(settings(window=Window(size_ms=1000, lateness_ms=0, idle_ms=100, expire_ms=20_000)))
    readings = Readings.of(range(len(OPEN)), [Reading(name, time, 1.0) for name, time in OPEN.items()])
    windows.apply(Batch(0, 1, 0, 0, len(OPEN), 0, 0, readings))
    return windows


def over(silence: Silence, clock: int, windows: PartitionWindows) -> dict[str, int]:
    return silence.due(clock, windows)[0]


def test_a_window_is_over_when_its_series_has_been_silent_for_long_enough() -> None:
    silence, windows = Silence(0), applied()
    silence.heard(10_000, OPEN)
    assert over(silence, 10_599, windows) == {}
    assert over(silence, 10_600, windows) == {"a": 0, "b": 2000}


def test_what_is_over_is_told_once() -> None:
    silence, windows = Silence(0), applied()
    silence.heard(0, OPEN)
    assert over(silence, 600, windows) != {}
    assert over(silence, 9000, windows) == {}


def test_a_series_that_was_heard_again_meanwhile_is_told_again() -> None:
    silence, windows = Silence(0), applied()
    silence.heard(0, OPEN)
    over(silence, 600, windows)
    silence.heard(700, ["a"])
    assert over(silence, 9000, windows) == {"a": 0}


def test_what_was_not_heard_of_counts_from_the_beginning_of_the_run() -> None:
    silence, windows = Silence(300_000), applied()
    assert over(silence, 300_599, windows) == {}
    assert over(silence, 300_600, windows) == {"a": 0, "b": 2000}


def test_a_replay_tells_of_no_later_time() -> None:
    silence, windows = Silence(0), applied()
    silence.heard(5000, OPEN)
    silence.heard(100, OPEN)
    assert over(silence, 5599, windows) == {}
    over(silence, 5600, windows)
    silence.heard(100, OPEN)
    assert over(silence, 9000, windows) == {}, "and nothing is told again"


def test_a_series_ends_when_it_has_been_silent_for_very_long_and_nothing_of_it_is_open() -> None:
    silence, windows = Silence(0), applied()
    silence.heard(1000, OPEN)
    assert silence.due(21_000, windows) == ({"a": 0, "b": 2000}, []), "they are still open"
    closing = ClockMark(2, 2, {"a": 0, "b": 2000})
    windows.apply(Batch(0, 1, 0, 2, 3, 0, 0, Readings.of([], []), [closing]))
    silence.heard(5000, ["b"])
    assert silence.due(22_000, windows) == ({}, ["a"])
    assert silence.due(23_500, windows) == ({}, []), "it is told once"
    assert silence.due(25_000, windows) == ({}, ["b"])


QUIET = """
rules:
  - {series: a, incident: {quiet: 3s}, detectors: [{use: sigma}, {use: student, incident: {quiet: 10s}}]}
  - {series: b, window: each, incident: {quiet: 3s}}
"""


def quiet() -> PartitionWindows:
    """Of `applied`, with incidents and all windows closed."""
    windows = applied()
    rules, closing = RuleMark(2, 1, QUIET), ClockMark(3, 3, {"a": 0, "b": 2000})
    windows.apply(Batch(0, 1, 0, 2, 4, 0, 0, Readings.of([], []), [closing], [rules]))
    assert not windows.open
    return windows


def test_a_series_with_incidents_is_over_up_to_where_it_has_been_quiet_for_each_length_once() -> None:
    """Its time is 500, and then by the clock 3,500 and 10,500: until the windows that these are in are over."""
    silence, windows = Silence(0), quiet()
    silence.heard(1000, OPEN)
    assert over(silence, 4599, windows) == {}
    assert over(silence, 4600, windows) == {"a": 3000}
    assert over(silence, 11_599, windows) == {}
    assert over(silence, 11_600, windows) == {"a": 10_000}
    assert over(silence, 19_000, windows) == {}
    silence.heard(19_000, ["a"])
    assert over(silence, 22_600, windows) == {"a": 3000}


def test_quiet_counts_from_the_last_reading_and_anew_when_the_rules_are_others() -> None:
    silence, windows = Silence(0), quiet()
    for clock in range(0, 9000, 1000):
        silence.heard(clock, ["a"])
        assert over(silence, clock, windows) == {}
    assert over(silence, 11_599, windows) == {}
    other = RuleMark(4, 2, "rules: [{series: a, incident: {quiet: 1s}}]")
    windows.apply(Batch(0, 1, 0, 4, 5, 0, 0, Readings.of([], []), [], [other]))
    assert over(silence, 11_599, windows) == {"a": 1000}


def test_a_series_that_has_ended_is_looked_at_no_more_until_it_comes_again() -> None:
    silence, windows = Silence(0), quiet()
    silence.heard(1000, OPEN)
    del windows.series["a"]
    assert over(silence, 5000, windows) == {}
    silence.heard(6000, ["a"])
    again = Readings.of([4], [Reading("a", 7500, 1.0)])
    windows.apply(Batch(0, 1, 0, 4, 5, 0, 0, again))
    assert over(silence, 6600, windows) == {"a": 7000}
    assert over(silence, 9600, windows) == {"a": 10_000}
