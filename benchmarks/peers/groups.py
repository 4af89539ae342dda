"""The work on one group, for the engines in Python: the mean over its members' windows, told anew with what came since.

Who reads a full topic reads its partitions at paces of their own, so no window of a group is known to be complete; the
last that is told of it counts. A state is by start what a window has, ready for JSON.
"""

from collections.abc import Sequence
from typing import Any

State = dict[int, list[Any]]
"""By start: members, readings, the first member's mean, and the sum of what the readings are above it."""


def group_of(series: str) -> str:
    """What stands before the slash of a series' name."""
    return "group:" + series.partition("/")[0]


def merge(state: State, group: str, windows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Apply windows of members; returns a row for each window of the group that they are of."""
    for window in windows:
        count, mean = window["count"], window["mean"]
        total = state.setdefault(window["start"], [0, 0, mean, 0.0])
        total[0] += 1
        total[1] += count
        total[3] += count * (mean - total[2])
    return [_row(state, group, start) for start in dict.fromkeys(window["start"] for window in windows)]


def _row(state: State, group: str, start: int) -> dict[str, Any]:
    members, readings, shift, above = state[start]
    return {"series": group, "start": start, "members": members, "mean": shift + above / readings}
