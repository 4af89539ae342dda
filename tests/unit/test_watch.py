"""What `oda watch` shows of the messages it is given."""

import itertools
import json

from test_results import ANOMALY, INCIDENT, WINDOW

from oda.cli.hints import Hints
from oda.cli.watch import Counts, Watcher
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS

OFFSETS = itertools.count(1000)


def new_watcher(tell=print) -> Watcher:
    return Watcher(Hints(min_count=2, tell=tell))


def show(watcher: Watcher, kind, message: dict, **changed):
    return watcher.line(kind.located(json.dumps({**message, **changed}).encode()))


def test_a_window_is_time_series_count_average_and_stddev():
    line = show(new_watcher(), WINDOWS, WINDOW)
    assert line.plain == "2024-11-22 18:26:40.000  pump-7  200 readings  average 3.25  stddev 0.5"


def test_an_anomaly_is_red_and_says_what_was_expected_and_how_improbable_it_is():
    line = show(new_watcher(), ANOMALIES, ANOMALY)
    assert (
        line.plain
        == "2024-11-22 18:26:42.123  pump-7  ANOMALY 9.25, expected 3.25 (1.25 to 5.25): score 100 by sigma/1"
    )
    assert "red" in str(line.style)


def test_an_incident_says_what_became_of_it_and_its_worst_anomaly():
    watcher = new_watcher()
    opened = show(watcher, INCIDENTS, INCIDENT)
    assert opened.plain == (
        "2024-11-22 18:26:42.456  pump-7  INCIDENT opened, warning: 3 anomalies since 2024-11-22 18:26:42.123, "
        "the worst 9.25, expected 3.25 (1.25 to 5.25): score 100 by sigma/1"
    )
    resolved = show(watcher, INCIDENTS, INCIDENT, number=1, change="resolved", cause="clock")
    assert "INCIDENT resolved by the clock, warning" in resolved.plain
    assert ("red" in str(opened.style), "green" in str(resolved.style)) == (True, True)
    assert watcher.counts.summary() == "0 windows, 0 anomalies, 1 incidents"


def test_the_end_says_how_much_there_was():
    watcher = new_watcher()
    show(watcher, WINDOWS, WINDOW)
    show(watcher, WINDOWS, WINDOW, partition=2)
    show(watcher, ANOMALIES, ANOMALY)
    assert watcher.counts.summary() == "2 windows, 1 anomalies"
    assert Counts(unreadable=1).summary() == "0 windows, 0 anomalies, 1 messages that could not be read"


def test_a_name_can_neither_command_the_terminal_nor_style_the_text():
    line = show(new_watcher(), WINDOWS, WINDOW, series="[red]\x1b[2J\n")
    assert "[red]\\x1b[2J\\n" in line.plain
    assert line.spans == []
    line = show(new_watcher(), INCIDENTS, INCIDENT, severity="\x1b[2J", detector="[red]\n")
    assert "\\x1b[2J" in line.plain
    assert "[red]\\n" in line.plain


def windows(watcher: Watcher, counts: list[int], **changed):
    for number, count in enumerate(counts):
        start = WINDOW["start"] + number * 1_800_000
        show(watcher, WINDOWS, WINDOW, start=start, first_offset=next(OFFSETS), count=count, **changed)


def test_a_series_that_is_never_judged_is_told_of_once():
    told = []
    watcher = new_watcher(tell=told.append)
    windows(watcher, [1] * 9)
    windows(watcher, [1, 1, 1, 2, 1], series="told too soon, but so it was")
    windows(watcher, [1, 2, 1, 1], series="judged")
    windows(watcher, [1, 1], series="\x1b[2J, too short to say")
    windows(watcher, [1] * 9, series="by rules, whose detector may need no more", rules=3)
    assert [hint.partition(":")[0] for hint in told] == ["pump-7", "told too soon, but so it was"]
    assert told[0] == (
        "pump-7: no baseline: its windows hold 1 of the 2 readings that oda.judge.min_count asks for, "
        "so it is never judged. One comes every 1800 s: let oda.window.size_ms hold several"
    )


def test_a_series_in_several_partitions_is_told_of_once():
    told = []
    watcher = new_watcher(tell=told.append)
    show(watcher, WINDOWS, WINDOW)
    show(watcher, WINDOWS, WINDOW, series="pump-8", partition=2)
    assert told == []
    for partition in (0, 1, 2):
        show(watcher, ANOMALIES, ANOMALY, partition=partition)
    assert [hint.partition(",")[0] for hint in told] == ["pump-7: its results are of the partitions 0 and 1"]


def test_what_is_told_is_remembered_for_a_bounded_number_of_series(monkeypatch):
    monkeypatch.setattr("oda.cli.hints.MEMORY", 2)
    hints = Hints(2, tell=None)
    for series in ("a", "b", "a", "c"):
        hints.result(series, 0)
    assert list(hints._series) == ["a", "c"]
