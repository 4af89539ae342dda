"""What was found, in words: rows of texts for a terminal's tables and for the page's. Names in them are harmless."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from oda.core.kinds import Anomaly, Incident
from oda.core.rules.file import SEVERITIES
from oda.shown import plain, time_text
from oda.trial.run import Found

NUMBERS = frozenset({"anomalies", "score", "value", "worst", "readings", "windows", "late", "ahead", "incidents"})
"""Columns that stand to the right."""


class Grid(NamedTuple):
    """Names of columns, and rows."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def incidents(found: Iterable[Incident]) -> Grid:
    """The worst first."""
    columns = (
        "series",
        "first anomaly",
        "last anomaly",
        "severity",
        "detector",
        "anomalies",
        "worst",
        "expected",
        "score",
    )
    worst = sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.worst_score, one.count), reverse=True)
    return Grid(
        columns,
        [
            (
                plain(one.series),
                when(one.time),
                when(one.last_time),
                one.severity + ("" if one.change == "resolved" else ", open"),
                plain(one.detector),
                str(one.count),
                number(one.worst_value),
                _expected(one),
                f"{one.worst_score:.4g}",
            )
            for one in worst
        ],
    )


def anomalies(found: Iterable[Anomaly]) -> Grid:
    """The most improbable first."""
    return Grid(
        ("series", "time", "value", "expected", "score", "detector"),
        [
            (
                plain(one.series),
                when(one.time),
                number(one.value),
                _expected(one),
                f"{one.score:.4g}",
                plain(one.detector),
            )
            for one in sorted(found, key=lambda one: one.score, reverse=True)
        ],
    )


def series(found: Found) -> Grid:
    """Those with the most incidents first, then those with the most anomalies."""
    columns = ("series", "incidents", "anomalies", "readings", "windows", "late", "ahead")
    most = sorted(found.series.items(), key=lambda item: (item[1].incidents, item[1].anomalies), reverse=True)
    return Grid(
        columns,
        [(plain(name), *(f"{getattr(counts, column):,}" for column in columns[1:])) for name, counts in most],
    )


def summary(found: Found, left_out: int) -> str:
    """One sentence."""
    counts = found.series.values()
    late, ahead = sum(one.late for one in counts), sum(one.ahead for one in counts)
    besides = [
        f"{number:,} {what}"
        for number, what in ((late, "late"), (ahead, "ahead of their time"), (left_out, "rows left out"))
        if number
    ]
    return (
        f"{_many(sum(one.readings for one in counts), 'reading')} of {len(counts):,} series, "
        f"{when(min(one.first for one in counts))} to {when(max(one.last for one in counts))} (UTC)"
        + (f"; {', '.join(besides)}" if besides else "")
        + f": {_many(len(found.incidents), 'incident')}, "
        + ("1 anomaly" if len(found.anomalies) == 1 else f"{len(found.anomalies):,} anomalies")
    )


def when(ms: int) -> str:
    """A time without what is not needed of it.

    >>> when(1732300000000), when(1732300000123)
    ('2024-11-22 18:26:40', '2024-11-22 18:26:40.123')
    """
    return time_text(ms).removesuffix(".000")


def number(value: float) -> str:
    """A value for people."""
    return f"{value:.7g}"


def _expected(row: Anomaly | Incident) -> str:
    return f"{row.low:.5g} to {row.high:.5g}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
