"""The groups that a file of rules names: checked, none a member of itself, each with all that holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oda.core.groups.definition import PREFIX, Definition
from oda.core.groups.names import Naming, captures
from oda.core.rules import file
from oda.core.rules.check import Checker
from oda.core.rules.match import Group
from oda.core.rules.problem import Path
from oda.settings import Settings


class Groups:
    """Makes them of what a file says; what is wrong goes to the checker."""

    def __init__(self, checker: Checker, settings: Settings, version: int) -> None:
        self._checker = checker
        self._settings = settings
        self._version = version

    def groups(self, values: Sequence[Any]) -> list[Group]:
        """Those of a file, in its order; none if any is wrong."""
        said = {
            number: found
            for number, value in enumerate(values)
            if (found := self._checker.check(file.Group, value, ("groups", number)))
        }
        namings = {number: self._naming(one, ("groups", number)) for number, one in said.items()}
        order = self._lowest_first(namings)
        if self._checker.problems:
            return []
        groups: dict[int, Group] = {}
        for number in order:
            lower = [group for group in groups.values() if namings[number].takes(group.naming)]
            groups[number] = self._group(said[number], namings[number], lower)
        return [groups[number] for number in sorted(groups)]

    def _naming(self, said: file.Group, path: Path) -> Naming:
        known = captures(said.members)
        if len(set(known)) < len(known):
            self._checker.problem((*path, "members"), "captures one name twice")
        for name in captures(said.name):
            if name not in known:
                self._checker.problem((*path, "name"), f"members captures no {{{name}}}")
        if said.name.startswith(PREFIX):
            self._checker.problem((*path, "name"), f"the series is called {PREFIX}NAME: the name needs no {PREFIX}")
        return Naming(said.members, said.name)

    def _lowest_first(self, namings: dict[int, Naming]) -> list[int]:
        """An order in which each comes after those that it takes; one that takes itself, by whatever way, is told."""
        takes = {
            number: [other for other, lower in namings.items() if naming.takes(lower)]
            for number, naming in namings.items()
        }
        order: list[int] = []
        while ready := [number for number in takes if number not in order and set(takes[number]) <= set(order)]:
            order += ready
        for number in takes:
            if number in _reached(takes, number):
                self._checker.problem(("groups", number, "members"), "takes the group itself, or what that becomes")
        return order

    def _group(self, said: file.Group, naming: Naming, lower: Sequence[Group]) -> Group:
        window = self._settings.window
        size = window.size_ms if said.window.size is None else said.window.size
        lateness = said.window.lateness
        if lateness is None:
            # Until the clock has closed what fell silent, and a little more; behind all that it takes.
            below = max((group.definition.lateness + 2 * group.definition.size for group in lower), default=0)
            lateness = below + window.lateness_ms + 2 * window.idle_ms
        aggregate = said.aggregate
        text = aggregate if isinstance(aggregate, str) else f"quantile:{aggregate.quantile!r}"
        return Group(naming, Definition(self._version, size, lateness, text, said.least), said.suppresses)


def _reached(takes: dict[int, list[int]], start: int) -> set[int]:
    found: set[int] = set()
    ahead = [*takes[start]]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += takes[one]
    return found
