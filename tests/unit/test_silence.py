"""Silence: whose windows are over, as one run of the spout saw it."""

from __future__ import annotations

from oda.core.batch import Batch, Readings
from oda.core.reading import Reading
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows
from oda.settings import Window

OPEN = {"a": 500, "b": 2500}
"""By series the time of its only reading: its windows are over 1,100 ms after their start."""


def applied() -> PartitionWindows:
    windows = PartitionWindows(Window(size_ms=1000, lateness_ms=0, idle_ms=100))
    readings = Readings.of(range(len(OPEN)), [Reading(name, time, 1.0) for name, time in OPEN.items()])
    windows.apply(Batch(0, 1, 0, 0, len(OPEN), 0, 0, readings))
    return windows


def test_a_window_is_over_when_its_series_has_been_silent_for_long_enough() -> None:
    silence, windows = Silence(), applied()
    silence.heard(1, 10_000, OPEN)
    assert silence.due(1, 10_599, windows) == {}
    assert silence.due(1, 10_600, windows) == {"a": 0, "b": 2000}


def test_what_is_over_is_told_once() -> None:
    silence, windows = Silence(), applied()
    silence.heard(1, 0, OPEN)
    assert silence.due(1, 600, windows) != {}
    assert silence.due(1, 9000, windows) == {}


def test_a_series_that_was_heard_again_meanwhile_is_told_again() -> None:
    silence, windows = Silence(), applied()
    silence.heard(1, 0, OPEN)
    silence.due(1, 600, windows)
    silence.heard(1, 700, ["a"])
    assert silence.due(1, 9000, windows) == {"a": 0}


def test_a_run_elsewhere_whose_clock_is_ahead_counts_anew() -> None:
    silence, windows = Silence(), applied()
    silence.heard(1, 0, OPEN)
    assert silence.due(2, 300_000, windows) == {}
    assert silence.due(2, 300_599, windows) == {}
    assert silence.due(2, 300_600, windows) == {"a": 0, "b": 2000}


def test_what_is_left_of_a_former_run_says_nothing() -> None:
    silence, windows = Silence(), applied()
    silence.heard(2, 0, OPEN)
    silence.heard(1, 9_000_000, ["a"])
    assert silence.due(1, 9_000_000, windows) == {}
    assert silence.due(2, 600, windows) == {"a": 0, "b": 2000}
