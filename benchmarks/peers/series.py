"""The work on one series, for the engines in Python: the same for all, and as fast as plain Python is.

A state is a list, so that an engine that stores states as JSON can keep it. What a reading leads to is a list of
rows, ready for the results topic.
"""

from math import sqrt
from os import environ
from typing import Any

SIZE_MS = 2000
SIGMAS = 4.0
LATENESS_MS = int(environ.get("LATENESS_MS", "0"))

State = list[Any]
"""Largest time; number of the newest window that has closed; mean, stddev and count of the newest closed window that
had readings; open windows, each a list of number, first value, count, sum and sum of squares of what is above it."""


def new_state() -> State:
    """Of a series that has had no reading yet."""
    return [-1, -1, 0.0, 0.0, 0, []]


def step(state: State, series: str, time: int, value: float) -> list[dict[str, Any]]:
    """Apply a reading; returns the windows that it closes, and itself if it is an anomaly."""
    rows: list[dict[str, Any]] = []
    number = time // SIZE_MS
    if time > state[0]:
        state[0] = time
        through = (time - LATENESS_MS) // SIZE_MS - 1
        if through > state[1]:
            state[1] = through
            _close(state, series, through, rows)
    if number > state[1]:
        _add(state[5], number, value)
    if state[4] >= 2 and abs(value - state[2]) > SIGMAS * state[3]:
        rows.append({"series": series, "time": time, "value": value, "mean": state[2], "stddev": state[3]})
    return rows


def _close(state: State, series: str, through: int, rows: list[dict[str, Any]]) -> None:
    for window in sorted(window for window in state[5] if window[0] <= through):
        number, shift, count, total, squares = window
        mean, stddev = shift + total / count, sqrt(max(0.0, (squares - total * total / count) / count))
        state[2:5] = mean, stddev, count
        rows.append({"series": series, "start": number * SIZE_MS, "count": count, "mean": mean, "stddev": stddev})
    state[5] = [window for window in state[5] if window[0] > through]


def _add(windows: list[list[Any]], number: int, value: float) -> None:
    for window in windows:
        if window[0] == number:
            above = value - window[1]
            window[2] += 1
            window[3] += above
            window[4] += above * above
            return
    windows.append([number, value, 1, 0.0, 0.0])
