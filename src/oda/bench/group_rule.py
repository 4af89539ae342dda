"""The rule by which a benchmark's series belong to groups, and how it comes into the log: before the readings."""

from __future__ import annotations

import json

from oda.core.groups.definition import Definition
from oda.core.rules.parse import parse
from oda.kafka.rules import apply
from oda.settings import Settings


def apply_groups(settings: Settings, members: int, lateness_ms: int | None = None) -> Definition:
    """Let series whose names are those of `series_name` make groups; what is in the log already is none of theirs.

    Args:
        settings: of the topology.
        members: how many each group has. A window that lacks one makes no reading: so a reading says that none lacked.
        lateness_ms: of the groups; what rules have that say nothing of it, if not given.

    Returns:
        What holds for all groups.
    """
    rules = parse(rule(members, lateness_ms), settings)
    apply(settings.kafka, rules.text)
    return rules.groups[0].definition


def rule(members: int, lateness_ms: int | None) -> str:
    """A file of rules. Of a group's own readings no window ends while a benchmark runs: that work is none of its."""
    group: dict[str, object] = {"name": "{rack}", "members": "{rack}/*", "aggregate": "mean", "least": members}
    if lateness_ms is not None:
        group["window"] = {"lateness": f"{lateness_ms}ms"}
    return json.dumps({"rules": [{"series": "group:*", "window": {"size": "1d"}}], "groups": [group]})
