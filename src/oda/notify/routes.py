"""Who is told: the first route that matches says so, by severity and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oda.core.rules.file import SEVERITIES
from oda.core.rules.pattern import Pattern
from oda.notify.file import Route


class Routes:
    """Those of a file.

    >>> routes = Routes([Route(severity="critical", to=["pager"]), Route(labels={"team": "w*"}, to=["mail"])])
    >>> routes.receivers("critical", {"team": "water"}), routes.receivers("info", {"team": "water"})
    (['pager'], ['mail'])
    >>> routes.receivers("info", {})
    []
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [
            (route, {name: Pattern(glob).matcher() for name, glob in route.labels.items()}) for route in routes
        ]

    def receivers(self, severity: str, labels: Mapping[str, str]) -> list[str]:
        """The names of those who are told, each once."""
        found: dict[str, None] = {}
        for route, matchers in self._routes:
            if route.severity and _rank(severity) < _rank(route.severity):
                continue
            if all(name in labels and matches(labels[name]) for name, matches in matchers.items()):
                found.update(dict.fromkeys(route.to))
                if not route.continue_:
                    break
        return list(found)


def _rank(severity: str) -> int:
    """Of a severity that this version does not know as of the worst: rather told once too often."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
