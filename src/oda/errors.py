"""The one kind of error that a person reads: a sentence that names what is wrong and the fix."""

from __future__ import annotations


class UserError(Exception):
    """A mistake or condition that the user can mend; shown without a traceback, exit code 2."""


def shorten(text: str, length: int = 200) -> str:
    """The text, or its beginning if it has more characters than `length`: what was wrong may be large."""
    return text if len(text) <= length else text[: length - 1] + "…"


class Refused(UserError):  # noqa: N818 - what the store did, not what is wrong
    """A store that lives will not take this as it is; trying again helps only when somebody has mended it."""
