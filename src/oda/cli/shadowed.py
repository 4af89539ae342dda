"""What a shadow found beside the live system, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nlargest
from itertools import chain
from typing import Any

from rich.console import Console
from rich.text import Text

from oda.cli.tried import SHOWN, compared, table
from oda.core.kinds import ANOMALIES, INCIDENTS
from oda.shadow.compare import Outcome, Span
from oda.shadow.run import Shadow
from oda.shown import plain
from oda.trial import words
from oda.trial.compare import Compared, Differences
from oda.trial.words import Grid

_KINDS = (ANOMALIES, INCIDENTS)

Counts = dict[tuple[str, str], Counter[tuple[str, str]]]
"""By series and detector: how many rows, by kind and by what became of them."""


class Report:
    """What there is to say in the end.

    Args:
        judged: the run.
        spans: what of each partition was compared.
        found: by partition.
    """

    def __init__(self, judged: Shadow, spans: Mapping[int, Span], found: Mapping[int, Outcome]) -> None:
        self._judged = judged
        self._spans = spans
        self._found = found
        self._decided = _joined([one.decided for one in found.values()])
        self._by_clock = _joined([one.by_clock for one in found.values()])

    @property
    def differs(self) -> bool:
        """Whether anything is gained or lost, but by the clock."""
        return any(rows.gained or rows.lost for rows in self._decided)

    def show(self, name: str, group: str, console: Console) -> None:
        """Tables; of long ones the beginning."""
        places = ", ".join(
            f"{number}: {span.start} to {span.end}" for number, span in sorted(self._judged.spans.items())
        )
        title = f"{name} beside {group}: {self._judged.readings:,} readings (partition {places})"
        console.print(Text(title, "bold"), soft_wrap=True)
        if behind := self._behind():
            note = f"{behind:,} offsets are not compared: group {group} has not committed them yet"
            console.print(Text(note, "yellow"), soft_wrap=True)
        compared("Anomalies", self._decided.anomalies, words.anomalies, console)
        compared("Incidents", self._decided.incidents, words.incidents, console)
        for kind, of_kind in self._by_clock._asdict().items():
            if of_kind.gained or of_kind.lost:
                counts = f"{len(of_kind.gained):,} more gained and {len(of_kind.lost):,} more lost"
                note = f"{kind.capitalize()}: {counts} by the clock, as each has its own (--json has them)"
                console.print(Text(note), soft_wrap=True)
        table("By series and detector", _grid(self._counts()), console)

    def document(self, topic: str) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "readings": self._judged.readings,
            "partitions": {
                number: {"from": span.start, "until": span.end, "compared_until": self._spans[number].end}
                for number, span in self._judged.spans.items()
            },
            "counts": [
                {
                    "series": series,
                    "detector": detector,
                    **{kind.name: {which: counts[kind.name, which] for which in Compared._fields} for kind in _KINDS},
                }
                for (series, detector), counts in sorted(self._counts().items())
            ],
            "differences": self._rows(topic, "decided"),
            "by_clock": self._rows(topic, "by_clock"),
        }

    def _behind(self) -> int:
        return sum(span.end - self._spans[number].end for number, span in self._judged.spans.items())

    def _counts(self) -> Counts:
        """By series and detector: how many rows, by kind and what became of them; without those by the clock."""
        counts: Counts = {}
        for kind, of_kind in self._decided._asdict().items():
            for which, rows in of_kind._asdict().items():
                for row in rows:
                    counts.setdefault((row.series, row.detector), Counter())[kind, which] += 1
        return counts

    def _rows(self, topic: str, of: str) -> dict[str, Any]:
        return {
            kind.name: {
                which: [
                    kind.document(topic, number, row)
                    for number, outcome in sorted(self._found.items())
                    for row in getattr(getattr(getattr(outcome, of), kind.name), which)
                ]
                for which in Compared._fields
            }
            for kind in _KINDS
        }


def _joined(parts: Iterable[Differences]) -> Differences:
    """Of all partitions."""
    anomalies, incidents = zip(*parts, strict=True)
    return Differences(_chained(anomalies), _chained(incidents))


def _chained(parts: Iterable[Compared[Any]]) -> Compared[Any]:
    return Compared(*(list(chain.from_iterable(rows)) for rows in zip(*parts, strict=True)))


def _grid(counts: Counts) -> Grid:
    """Those that differ most first."""
    pairs = [(kind.name, which) for kind in _KINDS for which in Compared._fields]

    def differences(item: tuple[tuple[str, str], Counter[tuple[str, str]]]) -> int:
        return sum(count for (_, which), count in item[1].items() if which != "same")

    most = nlargest(SHOWN, counts.items(), key=differences)
    return Grid(
        ("series", "detector", *(f"{kind} {which}" for kind, which in pairs)),
        [
            (plain(series), plain(detector), *(f"{of_series[pair]:,}" for pair in pairs))
            for (series, detector), of_series in most
        ],
        len(counts),
    )
