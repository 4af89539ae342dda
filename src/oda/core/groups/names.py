"""Which series belong to a group, and what it is called: a glob with captures, and a name made of them.

Of a group of groups the glob begins with `group:`, and no other glob matches a group: so `*` is no cycle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import re2

from oda.core.groups.definition import PREFIX, is_group

_MOST_CHARACTERS = 249
_CAPTURE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_PARTS = re.compile(r"\{(?P<capture>[a-z_][a-z0-9_]*)\}|(?P<other>.)", re.DOTALL)
_WITHIN = "[^/]+"


def captures(text: str) -> list[str]:
    """The names in braces, in their order.

    >>> captures("{site}/{kind}")
    ['site', 'kind']
    """
    return _CAPTURE.findall(text)


@dataclass(frozen=True)
class Naming:
    """A glob, in which `{site}` is one or more characters other than `/`, and the name of the group that it leads to.

    >>> Naming("site/{site}/pump-*/power", "{site}/power").group("site/berlin/pump-7/power")
    'group:berlin/power'
    """

    members: str
    name: str

    def group(self, series: str) -> str | None:
        """The series of the group that a series belongs to; None if it does not, or the name would be too long."""
        if is_group(series) != is_group(self.members):
            return None
        match = self._pattern.fullmatch(series)
        if match is None:
            return None
        found = match.groupdict()
        name = PREFIX + _CAPTURE.sub(lambda capture: found[capture[1]], self.name)
        return name if len(name) <= _MOST_CHARACTERS else None

    def takes(self, other: Naming) -> bool:
        """Whether a group that the other one may lead to can be a member of a group of this one.

        >>> Naming("group:*/power", "power").takes(Naming("site/{site}/*", "{site}/power"))
        True
        """
        if not is_group(self.members):
            return False
        mine, others = list(_steps(self.members)), list(_steps(PREFIX + other.name))
        alphabet = {character for _, character in (*mine, *others)} | {"/", "\0"}
        seen: set[tuple[int, int]] = set()
        ahead = [(0, 0)]
        while ahead:
            at = ahead.pop()
            if at in seen:
                continue
            seen.add(at)
            if at == (len(mine), len(others)):
                return True
            left, right = set(_after(mine, at[0], None)), set(_after(others, at[1], None))
            ahead += [(one, at[1]) for one in left] + [(at[0], one) for one in right]
            for character in alphabet:
                both = list(_after(others, at[1], character))
                ahead += [(one, two) for one in _after(mine, at[0], character) for two in both]
        return False

    @cached_property
    def _pattern(self) -> Any:
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        return re2.compile("".join(map(_regex, _PARTS.finditer(self.members))), options)


def _regex(part: re.Match[str]) -> str:
    if part["capture"]:
        return f"(?P<{part['capture']}>{_WITHIN})"
    return {"*": ".*", "?": "."}.get(part["other"], re.escape(part["other"]))


_Step = tuple[str, str]
"""How often (`once` and `any`, `many`, `some`: at least once), and which character: unless `once`, all but that."""


def _steps(text: str) -> Iterator[_Step]:
    for part in _PARTS.finditer(text):
        if part["capture"]:
            yield "some", "/"
        else:
            yield {"*": ("many", ""), "?": ("any", "")}.get(part["other"], ("once", part["other"]))


def _after(steps: list[_Step], at: int, character: str | None) -> Iterator[int]:
    """Where one is behind a character, or without one."""
    if at == len(steps):
        return
    how, which = steps[at]
    if character is None:
        if how == "many":
            yield at + 1
    elif (character == which) == (how == "once"):
        if how in ("many", "some"):
            yield at
        if how != "many":
            yield at + 1
