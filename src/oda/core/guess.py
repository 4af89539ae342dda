"""What a number probably was that can't be a time in epoch milliseconds: for the one who has to mend its source."""

from __future__ import annotations

from datetime import datetime

_DATES = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}
"""Dates written as numbers, by their digits."""

_UNITS = {"s": ("seconds", 1), "us": ("microseconds", 10**6), "ns": ("nanoseconds", 10**9)}
"""Name, and how many there are in a second."""

_FROM, _TO = 315_532_800, 4_102_444_800
"""1980 and 2100 in epoch seconds: what people have readings of."""


def guess(time: int) -> str:
    """A question that names the likely meaning and the way out; "" when there is none.

    >>> guess(1396310400)
    'seconds? (oda collect --time-unit s)'
    >>> guess(20140401)
    'a date? Write it as RFC 3339'
    >>> guess(7)
    ''
    """
    if _is_date(str(time)):
        return "a date? Write it as RFC 3339"
    for unit, (name, second) in _UNITS.items():
        if _FROM * second <= time < _TO * second:
            return f"{name}? (oda collect --time-unit {unit})"
    return ""


def _is_date(digits: str) -> bool:
    try:
        return 1900 <= datetime.strptime(digits, _DATES[len(digits)]).year < 2100
    except (KeyError, ValueError):
        return False
