"""Correlated trouble: an incident of a group suppresses those of its members, if the group's rule says so.

It is written nowhere: whoever shows or tells incidents works it out, by the newest rules. An incident is suppressed
while one of a group lasts, unless it outlives that. A group's reading comes when its window has closed, so its incident
lasts as much longer: by the window's size and lateness.
"""

from __future__ import annotations

from collections.abc import Iterable

from oda.core.groups.definition import is_group
from oda.core.kinds import Incident
from oda.core.rules.match import Rules
from oda.core.spans import Spans

_LASTS = 2**62
"""The end of what has none yet, epoch ms."""


class Suppression:
    """What some incidents suppress.

    Args:
        rules: by which series belong to groups.
        incidents: each in its newest change; of those that are no group's nothing is asked.
    """

    def __init__(self, rules: Rules, incidents: Iterable[Incident]) -> None:
        self._rules = rules
        self._lasting = Spans((one.series, one.time, _end(one)) for one in incidents if is_group(one.series))

    def by(self, incident: Incident) -> str | None:
        """The series of the group by whose incident this one, in its newest change, is suppressed; None if it is not.

        Of several it is the one that takes the others.
        """
        end, found = _end(incident), None
        for group, definition in self._rules.suppressors(incident.series):
            if self._lasting.meet(group, end - definition.size - definition.lateness, end):
                found = group
        return found


def _end(incident: Incident) -> int:
    return incident.changed if incident.change == "resolved" else _LASTS
