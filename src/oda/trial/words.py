"""What was found, in words: rows of texts for a terminal's tables and for the page's. Names in them are harmless."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import NamedTuple

from oda.core.duration import written
from oda.core.groups.definition import is_group
from oda.core.groups.suppression import Suppression
from oda.core.kinds import Anomaly, Incident
from oda.core.rules.file import SEVERITIES
from oda.shown import plain, time_text
from oda.trial.found import Found
from oda.verdicts import Verdict

NUMBERS = frozenset(
    ["anomalies", "count", "score", "value", "worst", "readings", "windows", "late", "ahead", "incidents"]
)
"""Columns that stand to the right."""


class Grid(NamedTuple):
    """Names of columns, and rows: the first of a total."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    total: int


def incidents(found: Sequence[Incident], most: int, suppression: Suppression | None = None) -> Grid:
    """The worst first; `suppression` by incidents of groups is said behind the series."""
    columns = ("series", "since", "for", "severity", "detector", "count", "worst", "score")
    worst = nlargest(most, found, lambda one: (SEVERITIES.index(one.severity), one.worst_score, one.count))
    return Grid(
        columns,
        [
            (
                plain(one.series) + _suppressed(one, suppression),
                when(one.time),
                rounded(one.last_time - one.time) + ("" if one.change == "resolved" else ", open"),
                one.severity,
                plain(one.detector),
                str(one.count),
                number(one.worst_value),
                f"{one.worst_score:.4g}",
            )
            for one in worst
        ],
        len(found),
    )


def _suppressed(one: Incident, suppression: Suppression | None) -> str:
    by = suppression.by(one) if suppression else None
    return f", suppressed by {plain(by)}" if by else ""


def anomalies(found: Sequence[Anomaly], most: int) -> Grid:
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
            for one in nlargest(most, found, lambda one: one.score)
        ],
        len(found),
    )


def verdicts(found: Sequence[Verdict], most: int) -> Grid:
    """The newest first."""
    return Grid(
        ("series", "since", "for", "detector", "by", "comment"),
        [
            (
                plain(one.series),
                when(one.time),
                rounded(one.last_time - one.time),
                plain(one.detector),
                plain(one.by),
                plain(one.comment),
            )
            for one in nlargest(most, found, lambda one: one.time)
        ],
        len(found),
    )


def series(found: Found, most: int) -> Grid:
    """Those with the most incidents first, then those with the most anomalies."""
    columns = ("series", "incidents", "anomalies", "readings", "windows", "late", "ahead")
    first = nlargest(most, found.series.items(), lambda item: (item[1].incidents, item[1].anomalies))
    return Grid(
        columns,
        [(plain(name), *(f"{getattr(counts, column):,}" for column in columns[1:])) for name, counts in first],
        len(found.series),
    )


def summary(found: Found, left_out: int, suppression: Suppression) -> str:
    """One sentence."""
    suppressed = sum(suppression.by(one) is not None for one in found.incidents)
    counts = [one for name, one in found.series.items() if not is_group(name)] or list(found.series.values())
    groups = len(found.series) - len(counts)
    late, ahead = sum(one.late for one in counts), sum(one.ahead for one in counts)
    rows = "row" if left_out == 1 else "rows"
    besides = [(late, "late"), (ahead, "ahead of their time"), (left_out, f"{rows} left out")]
    told = ", ".join(f"{count:,} {what}" for count, what in besides if count)
    return (
        f"{_many(sum(one.readings for one in counts), 'reading')} of {len(counts):,} series"
        + (f" and {_many(groups, 'group')}, " if groups else ", ")
        + f"{when(min(one.first for one in counts))} to {when(max(one.last for one in counts))} (UTC)"
        + (f"; {told}" if told else "")
        + f": {_many(len(found.incidents), 'incident')}"
        + (f" ({suppressed:,} suppressed by those of groups), " if suppressed else ", ")
        + ("1 anomaly" if len(found.anomalies) == 1 else f"{len(found.anomalies):,} anomalies")
    )


def when(ms: int) -> str:
    """A time without zeros at its end.

    >>> when(1732300000000), when(1732300000123), when(1732299960000)
    ('2024-11-22 18:26:40', '2024-11-22 18:26:40.123', '2024-11-22 18:26')
    """
    return time_text(ms).removesuffix(".000").removesuffix(":00")


def number(value: float) -> str:
    """A value for people."""
    return f"{value:.7g}"


def rounded(ms: int) -> str:
    """A length of time, roughly.

    >>> rounded(1_800_013), rounded(350), rounded(0)
    ('30m', '350ms', '0s')
    """
    unit = max((unit for unit in (1, 1000, 60_000, 3_600_000, 86_400_000) if ms >= 2 * unit), default=1)
    return written(round(ms / unit) * unit) if ms else "0s"


def _expected(row: Anomaly) -> str:
    return f"{row.low:.5g} to {row.high:.5g}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
