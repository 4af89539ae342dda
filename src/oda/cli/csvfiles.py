"""What commands that read CSV files share: how rows that are none are told, and what separates fields."""

from __future__ import annotations

import sys

from oda.errors import UserError

SHOWN_BAD_ROWS = 10


class BadRows:
    """Reports the first rows that are no readings, then how many lines they were.

    Attributes:
        count: rows.
        shown: the reports.
    """

    def __init__(self, file: str) -> None:
        self.count = 0
        self.shown: list[str] = []
        self._file = file
        self._lines = 0

    def __call__(self, first: int, last: int, reason: str) -> None:
        self.count += 1
        self._lines += last - first + 1
        if self.count <= SHOWN_BAD_ROWS:
            lines = first if first == last else f"{first}-{last}"
            self.shown.append(f"{self._file}:{lines}: left out: {reason}")
            print(self.shown[-1], file=sys.stderr)

    def summarise(self) -> None:
        if self.count:
            print(f"{self._file}: {self._lines} lines left out", file=sys.stderr)


def character(delimiter: str) -> str:
    """The character that --delimiter says. Raises UserError if it can't separate fields."""
    found = delimiter.replace("\\t", "\t")
    if len(found) != 1 or found in '"\r\n':
        raise UserError(f"--delimiter must be one character that is no quote, or \\t, not {delimiter!r}")
    return found
