"""A change of an incident, as a notification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from oda.core.kinds import INCIDENTS, Incident, Located
from oda.notify.notification import Look
from oda.shown import plain

_CAUSES = {
    "data": "a reading after quiet time",
    "clock": "the series is silent",
    "rules": "the series has other rules",
}


class IncidentChange:
    """A `row` of `oda.incidents`; see `oda.notify.notification.Notification`."""

    alert = "OdaIncident"

    def __init__(self, located: Located[Incident]) -> None:
        self._located = located
        self.row = located.row

    @cached_property
    def place(self) -> str:
        return INCIDENTS.place(INCIDENTS.document(*self._located)).rpartition(":")[0]

    @property
    def number(self) -> int:
        return self.row.number

    @property
    def change(self) -> Literal["opened", "escalated", "resolved"]:
        return self.row.change

    @property
    def severity(self) -> str:
        return self.row.severity

    @property
    def names(self) -> Mapping[str, str]:
        return {"series": self.row.series, "detector": self.row.detector}

    @property
    def labels(self) -> Mapping[str, str]:
        return msgspec.json.decode(self.row.labels, type=dict[str, str])

    @property
    def since(self) -> int:
        return self.row.time

    @property
    def until(self) -> int | None:
        return self.row.changed if self.row.change == "resolved" else None

    @property
    def headline(self) -> str:
        return f"{plain(self.row.series)} is {_found(self.row)}"

    def facts(self, look: Look) -> Sequence[tuple[str, str]]:
        row = self.row
        over = f"{look.time(row.changed)}: {_CAUSES[row.cause]}" if self.until else ""
        last = f", the last at {look.time(row.last_time)}" if row.count > 1 else ""
        return [
            ("series", plain(row.series)),
            ("worst", f"{_found(row)}, at {look.time(row.worst_time)}"),
            ("detector", f"{plain(row.detector)}, score {row.worst_score:.4g} of 100"),
            ("since", look.time(row.time)),
            ("anomalies", f"{row.count}{last}"),
            ("resolved", over),
        ]

    def link(self, look: Look) -> str:
        row = self.row
        return look.series(row.series, row.time, max(row.last_time, row.changed))

    def numbers(self) -> Mapping[str, Any]:
        row = self.row
        return {
            "cause": row.cause,
            "count": row.count,
            "last": row.last_time,
            "worst": row.worst_time,
            "value": row.worst_value,
            "score": row.worst_score,
            "expected": row.expected,
            "low": row.low,
            "high": row.high,
            "rules": row.rules,
        }


def _found(row: Incident) -> str:
    """The worst value, beside what was expected."""
    return f"{row.worst_value:.10g}, expected {row.expected:.10g} ({row.low:.6g} to {row.high:.6g})"
