"""Which rule is a series': the first one whose pattern its name matches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from oda.core.groups.definition import Definition, Membership
from oda.core.groups.names import Naming
from oda.core.rules.pattern import Pattern
from oda.core.rules.rule import Rule, rule_of_options
from oda.settings import Settings

_MOST_CACHED = 2**20
"""Series whose rules are remembered; names that come once do not stay for ever."""


class Entry(NamedTuple):
    """A rule, and which series it is for."""

    series: Pattern
    rule: Rule


class Group(NamedTuple):
    """A group rule: which series it is for, and what it does with their windows.

    If it `suppresses`, an incident of the group does so with those of its members (see `oda.core.groups.suppression`).
    """

    naming: Naming
    definition: Definition
    suppresses: bool = False


@dataclass
class Rules:
    """One version of the rules.

    Attributes:
        version: 0 for the topology's options alone; else where it is in the topic of rules (see `oda.kafka.rules`).
        text: the file as it was applied, each detector with its version.
        entries: in the order of the file.
        default: of a series that none of these is for.
        groups: in the order of the file.
    """

    version: int
    text: str
    entries: Sequence[Entry]
    default: Rule
    groups: Sequence[Group] = ()

    def __post_init__(self) -> None:
        # Each is asked at most once for a series; of names without wildcards only the right one is.
        self._names: dict[str, int] = {}
        for number, entry in enumerate(self.entries):
            if entry.series.is_name:
                self._names.setdefault(entry.series.text, number)
        self._others = [
            (number, entry.series.matcher()) for number, entry in enumerate(self.entries) if not entry.series.is_name
        ]
        self._found: dict[str, Rule] = {}
        self._memberships: dict[str, tuple[Membership, ...]] = {}
        self._suppressors: dict[str, tuple[Membership, ...]] = {}

    @cached_property
    def sha256(self) -> str:
        """Of the text, as hexadecimal digits."""
        return digest(self.text)

    @cached_property
    def looks_at_each(self) -> bool:
        """Whether any rule does (see `Rule.looks_at_each`)."""
        return any(rule.looks_at_each for rule in (self.default, *(entry.rule for entry in self.entries)))

    def of(self, series: str) -> Rule:
        """The rule of a series; the same object each time for the same rule."""
        rule = self._found.get(series)
        if rule is None:
            if len(self._found) >= _MOST_CACHED:
                self._found.clear()
            number = self.number(series)
            rule = self._found[series] = self.default if number is None else self.entries[number].rule
        return rule

    def may_have_had_groups(self, former: Rules) -> bool:
        """Whether there are groups, or may have been in a version after a former one that a partition has not seen.

        A partition that is new has seen none; others may still have members of groups that are no more.
        """
        return bool(self.groups) or self.version > former.version + 1

    def memberships(self, series: str) -> tuple[Membership, ...]:
        """The groups of a series, each once, in the order of the file: of two rules for one, the first counts."""
        if not self.groups:
            return ()
        found = self._memberships.get(series)
        if found is None:
            if len(self._memberships) >= _MOST_CACHED:
                self._memberships.clear()
            groups = self._groups_of(series).items()
            found = self._memberships[series] = tuple(Membership(name, group.definition) for name, group in groups)
        return found

    def members(self, group: str, names: Iterable[str]) -> list[str]:
        """Those of some series that belong to a group."""
        return [name for name in names if any(one.group == group for one in self.memberships(name))]

    def suppressors(self, series: str) -> tuple[Membership, ...]:
        """The groups whose incidents suppress those of a series, which may be a member of a member; the nearest first.

        >>> from oda.core.groups.names import Naming
        >>> definition = Definition(1, 1000, 0, "mean", 1)
        >>> groups = [Group(Naming("r*", "rack"), definition), Group(Naming("group:rack", "all"), definition, True)]
        >>> Rules(1, "", (), None, groups).suppressors("r7")[0].group
        'group:all'
        """
        if not any(group.suppresses for group in self.groups):
            return ()
        found = self._suppressors.get(series)
        if found is None:
            if len(self._suppressors) >= _MOST_CACHED:
                self._suppressors.clear()
            reached: dict[str, Group] = {}
            ahead = [series]
            for name in ahead:  # which grows; none is a member of itself
                groups = self._groups_of(name)
                ahead += [one for one in groups if one not in reached]
                reached |= groups
            found = self._suppressors[series] = tuple(
                Membership(name, group.definition) for name, group in reached.items() if group.suppresses
            )
        return found

    def _groups_of(self, series: str) -> dict[str, Group]:
        """By name, in the order of the file."""
        found: dict[str, Group] = {}
        for group in self.groups:
            if (name := group.naming.group(series)) is not None:
                found.setdefault(name, group)
        return found

    def number(self, series: str) -> int | None:
        """Which of `entries` is a series'; None if none is."""
        by_name = self._names.get(series, len(self.entries))
        for number, matches in self._others:
            if number > by_name:
                break
            if matches(series):
                return number
        return by_name if by_name < len(self.entries) else None


def digest(text: str) -> str:
    """What names a text of rules: its SHA-256, as hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def of_options(settings: Settings) -> Rules:
    """Version 0: the topology's options hold for all series."""
    return Rules(0, "rules: []\n", (), rule_of_options(settings))
