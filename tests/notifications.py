"""Changes of incidents that are made up."""

import json

from oda.core.kinds import INCIDENTS
from oda.notify.incident import IncidentChange

CHANGES = ("opened", "escalated", "resolved")

ROW = {
    "topic": "readings", "partition": 1, "series": "pump-7", "time": 1732300002123, "offset": 410,
    "detector": "sigma/1", "number": 0, "change": "opened", "cause": "data", "severity": "warning",
    "changed": 1732300002456, "found_at": 412, "count": 3, "last_time": 1732300002456, "worst_time": 1732300002123,
    "worst_value": 9.25, "worst_score": 100.0, "expected": 3.25, "low": 1.25, "high": 5.25, "labels": "{}", "rules": 7,
}  # fmt: skip
"""The document of the opening of one, as Kafka has it."""


def row(number: int = 0, **changed: object) -> dict[str, object]:
    """The document of a change of one that has all three of them."""
    return {**ROW, "number": number, "change": CHANGES[number], **changed}


def change(number: int = 0, **changed: object) -> IncidentChange:
    """The same as a notification."""
    return IncidentChange(INCIDENTS.located(json.dumps(row(number, **changed)).encode()))
