"""What `oda watch` shows of the messages it is given."""

import json

import pytest

from oda.cli.watch import AnomalyMessage, Watcher, WindowMessage

WINDOW = {
    "topic": "readings", "partition": 1, "series": "pump-7", "start": 1732300000000, "end": 1732300002000,
    "count": 200, "mean": 3.25, "stddev": 0.5, "first_offset": 10, "last_offset": 400, "closed_at": 401,
    "closed_by": "data", "late": 0,
}  # fmt: skip
ANOMALY = {
    "topic": "readings", "partition": 1, "series": "pump-7", "time": 1732300002123, "offset": 410, "value": 9.25,
    "mean": 3.25, "stddev": 0.5, "count": 200, "window_start": 1732300000000,
}  # fmt: skip


def show(watcher: Watcher, kind, message: dict, **changed):
    return watcher.line(kind, json.dumps({**message, **changed}).encode())


def test_a_window_is_time_series_count_average_and_stddev():
    line = show(Watcher(), WindowMessage, WINDOW)
    assert line.plain == "2024-11-22 18:26:40.000  pump-7  200 readings  average 3.25  stddev 0.5"


def test_an_anomaly_is_red_and_says_how_far_off_it_is():
    line = show(Watcher(), AnomalyMessage, ANOMALY)
    assert line.plain == "2024-11-22 18:26:42.123  pump-7  ANOMALY 9.25: 12.0 sigmas from 3.25 ± 0.5"
    assert "red" in str(line.style)


def test_without_spread_the_distance_is_infinite():
    assert "inf sigmas" in show(Watcher(), AnomalyMessage, ANOMALY, stddev=0).plain


def test_a_repeated_result_is_shown_once():
    watcher = Watcher()
    for _ in range(3):
        show(watcher, WindowMessage, WINDOW)
        show(watcher, AnomalyMessage, ANOMALY, offset=10)  # a window of the same place is another thing
    show(watcher, WindowMessage, WINDOW, partition=2)
    assert (watcher.counts.windows, watcher.counts.anomalies) == (2, 1)


def test_only_the_wanted_series():
    watcher = Watcher(["pump-8", "pump-9"])
    assert show(watcher, WindowMessage, WINDOW) is None
    assert show(watcher, WindowMessage, WINDOW, series="pump-9") is not None
    assert watcher.counts.summary() == "1 windows, 0 anomalies"


def test_a_name_can_neither_command_the_terminal_nor_style_the_text():
    line = show(Watcher(), WindowMessage, WINDOW, series="[red]\x1b[2J\n")
    assert "[red]\\x1b[2J\\n" in line.plain
    assert line.spans == []


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", json.dumps({**WINDOW, "start": 10**18}).encode()])
def test_what_is_no_result_is_counted(data: bytes):
    watcher = Watcher()
    assert watcher.line(WindowMessage, data) is None
    assert watcher.counts.summary() == "0 windows, 0 anomalies, 1 messages that could not be read"
