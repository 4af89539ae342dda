"""Detectors: what says which readings or windows are anomalies. Each is one class in one file.

A user's own are found by entry points of the group `oda.detectors`, whose names are the detectors' own. ODA's are
listed here: where a supervisor runs what came in the topology's jar, ODA is not installed, and has no entry points.
Only those that rules name are imported.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from oda.core.detectors.contract import Detector
from oda.errors import UserError

GROUP = "oda.detectors"

_OWN = {
    "sigma/1": "oda.core.detectors.sigma:Sigma",
    "student/1": "oda.core.detectors.student:Student",
    "robust/1": "oda.core.detectors.robust:Robust",
    "seasonal/1": "oda.core.detectors.seasonal:Seasonal",
    "stuck/1": "oda.core.detectors.stuck:Stuck",
    "silent/1": "oda.core.detectors.silent:Silent",
    "level/1": "oda.core.detectors.level:Level",
    "rate/1": "oda.core.detectors.rate:Rate",
    "d1/1": "oda.core.detectors.d1:D1",
    "d5/1": "oda.core.detectors.d5:D5",
}
"""Of ODA: modules and classes by name."""


def installed() -> dict[str, EntryPoint]:
    """The entry points of all detectors, by the detectors' names, sorted."""
    own = [EntryPoint(name, value, GROUP) for name, value in _OWN.items()]
    return {
        point.name: point for point in sorted([*entry_points(group=GROUP), *own], key=lambda point: _order(point.name))
    }


@cache
def load(name: str) -> type[Detector[Any, Any]]:
    """The class of a detector; of a name without version that of the newest version.

    >>> load("sigma") is load("sigma/1")
    True

    Raises:
        UserError: there is none, or it can't be imported.
    """
    names = [other for other in installed() if name in (other, other.rpartition("/")[0])]
    if not names:
        raise UserError(
            f"no detector is called {name!r}; there are {', '.join(installed())}. One of your own is a class that the "
            f"entry points of the group {GROUP} name, of a package in .venv of every machine: see docs/detectors.md"
        )
    point = installed()[names[-1]]
    try:
        found = point.load()
    except Exception as error:  # whatever a user's module does
        raise UserError(f"the detector {point.name} can't be imported from {point.value}: {error!r}") from error
    if not (isinstance(found, type) and issubclass(found, Detector) and getattr(found, "name", None) == point.name):
        raise UserError(f"the detector {point.name}: {point.value} is no Detector with the name {point.name!r}")
    return found


def _order(name: str) -> tuple[str, int]:
    """Versions by number.

    >>> sorted(["b/10", "b/9", "a/1"], key=_order)
    ['a/1', 'b/9', 'b/10']
    """
    kind, _, version = name.rpartition("/")
    return (kind, int(version)) if version.isdecimal() else (name, 0)
