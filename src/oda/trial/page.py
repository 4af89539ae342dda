"""The page of a trial: one HTML file that needs nothing else, and asks nobody for anything. Pure.

Its policy (Content-Security-Policy) lets run the one script that is in it, by its hash, and forbids everything else. So
a hostile name of a series that got through would do nothing either.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

from oda.core.batch import Readings
from oda.core.groups.suppression import Suppression
from oda.core.kinds import Anomaly, ClosedWindow, Incident
from oda.core.rules.match import Rules
from oda.shown import plain
from oda.trial import words
from oda.trial.chart import chart
from oda.trial.compare import Compared, Differences
from oda.trial.found import Found
from oda.trial.hints import hints
from oda.trial.traced import Series, traces
from oda.trial.words import Grid

Row = TypeVar("Row", ClosedWindow, Anomaly, Incident)
T = TypeVar("T")

_CHARTS = 40
"""Series that are drawn."""

_ROWS = 200
"""Of a table."""


def page(
    title: str, found: Found, rules: Rules, left_out: int, reasons: Sequence[str], differences: Differences | None
) -> str:
    """The page.

    Args:
        title: the file's name.
        found: of a run that kept its readings and windows.
        rules: of the run.
        left_out: how many rows are no readings.
        reasons: why, of the first of them.
        differences: from what other rules found.
    """
    names = _drawn(found)
    incidents, anomalies = _tables(found, rules, differences)
    colors = (files("oda.serve") / "page" / "colors.css").read_text("utf-8")
    style, script = colors + _file("page.css"), _file("page.js")
    return _filled(
        _file("page.html"),
        csp=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'",
        title=escape(f"oda try: {title}"),
        summary=escape(words.summary(found, left_out, Suppression(rules, found.incidents))),
        notes="".join(f'<p class="note">{escape(hint)}</p>\n' for hint in hints(found, rules)),
        incidents=incidents,
        anomalies=anomalies,
        shown=_shown(names, found),
        details=_details(found, rules, left_out, reasons),
        data=_json(_data(found, rules, names)),
        style=style,
        script=script,
    )


def _filled(template: str, **parts: str) -> str:
    """The template with its parts, none of which is looked into."""
    first, *rest = template.split("@")
    return first + "".join(part if at % 2 else parts[part] for at, part in enumerate(rest))


def _file(name: str) -> str:
    return (files("oda.trial") / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _json(content: Any) -> str:
    """JSON that can't end the element that it is in."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _drawn(found: Found) -> list[str]:
    """The series with the most incidents, then those with the most anomalies."""
    most = sorted(found.series.items(), key=lambda item: (item[1].incidents, item[1].anomalies), reverse=True)
    return [name for name, _ in most[:_CHARTS]]


def _shown(names: Sequence[str], found: Found) -> str:
    return f"The {len(names)} of {len(found.series):,} series with the most." if len(names) < len(found.series) else ""


def _data(found: Found, rules: Rules, names: Sequence[str]) -> dict[str, Any]:
    readings = _columns(found, names)
    windows, anomalies = _by_series(found.windows), _by_series(found.anomalies)
    incidents = _by_series(found.incidents)
    series = {name: Series(rules.of(name), readings[name], windows.get(name, [])) for name in names}
    traced = traces(series)
    counts = [found.series[name] for name in names]
    return {
        "span": [min(one.first for one in counts), max(one.last for one in counts)],
        "series": [
            chart(name, one, traced[name], anomalies.get(name, []), incidents.get(name, []))
            for name, one in series.items()
        ],
    }


def _by_series(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.series, []).append(row)
    return found


def _columns(found: Found, names: Sequence[str]) -> dict[str, Readings]:
    """Of each of the series its readings."""
    parts: dict[str, list[Readings]] = {name: [] for name in names}
    for readings in found.readings:
        for name, at in zip(readings.names, readings.rows(), strict=True):
            if name in parts:
                _, _, offsets, times, values = readings
                own = np.zeros(len(at), np.int32)
                parts[name].append(Readings([name], own, offsets[at], times[at], values[at]))
    return {name: Readings.joined(some) for name, some in parts.items()}


def _tables(found: Found, rules: Rules, differences: Differences | None) -> tuple[str, str]:
    """Of incidents, and of anomalies."""
    if differences is None:
        return (
            _table("Incidents", words.incidents(found.incidents, _ROWS, Suppression(rules, found.incidents))),
            _table("Anomalies", words.anomalies(found.anomalies, _ROWS)),
        )
    return (
        _compared("Incidents", differences.incidents, words.incidents),
        _compared("Anomalies", differences.anomalies, words.anomalies),
    )


def _compared(what: str, compared: Compared[T], grid: Callable[[Sequence[T], int], Grid]) -> str:
    beside = f", beside {len(compared.same):,} that are the same"
    return _table(f"{what} that are gained{beside}", grid(compared.gained, _ROWS)) + _table(
        f"{what} that are lost", grid(compared.lost, _ROWS)
    )


def _table(title: str, grid: Grid) -> str:
    if not grid.rows:
        return f"<h2>{escape(title)}</h2>\n<p>None.</p>\n"
    more = f" (the first {_ROWS} of {grid.total:,})" if grid.total > _ROWS else ""
    classes = [' class="number"' if column in words.NUMBERS else "" for column in grid.columns]
    head = "".join(f"<th{kind}>{escape(column)}</th>" for column, kind in zip(grid.columns, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes, strict=True)) + "</tr>\n"
        for row in grid.rows
    )
    return (
        f'<h2>{escape(title + more)}</h2>\n<div class="scroll"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def _details(found: Found, rules: Rules, left_out: int, reasons: Sequence[str]) -> str:
    parts = [_table("Series", words.series(found, _ROWS))]
    if left_out:
        parts.append(f"<h2>{left_out:,} rows left out</h2>\n<pre>{escape(chr(10).join(map(plain, reasons)))}</pre>\n")
    text = rules.text if rules.entries else "The topology's options, for all series.\n"
    parts.append(f"<h2>Rules</h2>\n<pre>{escape(text)}</pre>\n")
    return "".join(parts)
