"""Which series a rule is for: a glob, or a regular expression.

Neither takes time that grows faster than the name: what matches a series once is in the log for ever, and must not
hold it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from typing import Annotated, Any

import re2
from pydantic import Field

Glob = Annotated[str, Field(min_length=1, max_length=1000)]
"""`*` any characters, `?` one, `[abc]` one of these, `[!abc]` any other; case matters."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = _OPTIONS.never_capture = True


@dataclass(frozen=True)
class Pattern:
    """A glob, or a regular expression that a whole name matches."""

    text: str
    is_regex: bool = False

    def matcher(self) -> Callable[[str], object]:
        """What is true of names that match.

        >>> matches = Pattern("pump-*/power").matcher()
        >>> bool(matches("pump-7/power")), bool(matches("Pump-7/power")), bool(matches("pump-7/powers"))
        (True, False, False)
        """
        found: Callable[[str], object] = (
            _compiled(self.text).fullmatch if self.is_regex else re.compile(translate(self.text)).match
        )
        return found

    @property
    def is_name(self) -> bool:
        """Whether it is one series' name."""
        return not self.is_regex and not set("*?[") & set(self.text)


def in_re2(text: str) -> str:
    """The text, if it is a regular expression. Raises ValueError."""
    try:
        _compiled(text)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(
            f"is no regular expression of RE2: {why.decode() if isinstance(why, bytes) else why}"
        ) from None
    return text


def _compiled(text: str) -> Any:
    return re2.compile(text, _OPTIONS)
