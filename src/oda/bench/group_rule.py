"""The rule by which a benchmark's series belong to groups, and how it comes into the log: before the readings."""

from __future__ import annotations

import json

from oda.bench.workload import Workload
from oda.core.groups.definition import Definition
from oda.core.rules.parse import parse
from oda.errors import UserError
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
    apply(settings.kafka, parse(rule(members, lateness_ms), settings).text)
    return definition_of(settings, members, lateness_ms)


def definition_of(settings: Settings, members: int, lateness_ms: int | None = None) -> Definition:
    """What the rule says of all groups; arguments as above."""
    return parse(rule(members, lateness_ms), settings).groups[0].definition


def windows_over(
    settings: Settings, workload: Workload, start: int, lateness_ms: int | None = None
) -> set[tuple[str, int]]:
    """The windows of groups that a workload's readings alone end, by the group's series and start, epoch ms.

    Raises:
        UserError: there are groups, and none: nothing would be measured.
    """
    found = workload.groups_over(start, definition_of(settings, workload.members, lateness_ms))
    if workload.groups and not found:
        raise UserError(f"{workload.readings:,} readings end no window of a group: use more --readings")
    return found


def rule(members: int, lateness_ms: int | None) -> str:
    """A file of rules. Of a group's own readings no window ends while a benchmark runs: that work is none of its."""
    group: dict[str, object] = {"name": "{rack}", "members": "{rack}/*", "aggregate": "mean", "least": members}
    if lateness_ms is not None:
        group["window"] = {"lateness": f"{lateness_ms}ms"}
    return json.dumps({"rules": [{"series": "group:*", "window": {"size": "100000d"}}], "groups": [group]})
