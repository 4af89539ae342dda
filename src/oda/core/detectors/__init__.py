"""Detectors: what says which readings or windows are anomalies. Each is one class in one file.

They are found by entry points of the group `oda.detectors`, whose names are the detectors' own: ODA's and those that a
user has installed beside it are all the same. Only those that rules name are imported.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from oda.core.detectors.contract import Detector
from oda.errors import UserError

GROUP = "oda.detectors"


@cache
def installed() -> dict[str, EntryPoint]:
    """The entry points of all detectors, by the detectors' names, sorted."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: _order(point.name))}


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
