"""What is wrong with a file of rules, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oda.errors import UserError, shorten

_MOST_SHOWN = 100

Path = tuple[str | int, ...]
"""Where in a document: names of fields, and indexes from 0."""


class Problem(NamedTuple):
    """What is wrong, and where."""

    line: int
    column: int
    path: Path
    what: str

    def __str__(self) -> str:
        r"""One line.

        >>> str(Problem(3, 5, ("rules", 0, "lead"), "must be a duration"))
        '3:5: rules[0].lead: must be a duration'
        """
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in self.path)
        return f"{self.line}:{self.column}: {where.removeprefix('.') or 'the file'}: {self.what}"


class RulesError(UserError):
    """Rules that are none; the message has a line for each of `problems`: `LINE:COLUMN: where: what`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        lines = [str(problem) for problem in self.problems[:_MOST_SHOWN]]
        if len(self.problems) > _MOST_SHOWN:
            lines.append(f"and {len(self.problems) - _MOST_SHOWN} more")
        super().__init__("\n".join(lines))


def shown(name: str) -> str:
    """A name that may be anything, as text of one line."""
    return shorten(name if name.isprintable() else repr(name), 100)
