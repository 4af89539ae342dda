"""Times in options of commands."""

from __future__ import annotations

from datetime import datetime

from oda.collect.times import parse_time
from oda.core.reading import RejectedError, epoch_ms
from oda.errors import UserError


def moment(option: str, text: str) -> int:
    """The time of an option, epoch ms.

    >>> moment("--since", "2024-11-22 18:26:40")
    1732300000000

    Raises:
        UserError: it is none.
    """
    try:
        return epoch_ms(parse_time(text))
    except (ValueError, RejectedError) as error:
        raise UserError(f"{option}: {error}") from None


def place(option: str, text: str) -> int | datetime:
    """An offset, or a time. Raises UserError."""
    try:
        found = parse_time(text)
    except ValueError:
        raise UserError(
            f"{option} {text!r}: must be an offset, or a time such as 2026-11-25T12:00:00Z or 2026-11-25 12:00:00"
        ) from None
    if isinstance(found, int) and not 0 <= found < 2**63:
        raise UserError(f"{option} {text}: there is no such offset")
    return found


def end_of(text: str) -> datetime | None:
    """Of `--until`: None is now. Raises UserError."""
    if text == "now":
        return None
    time = place("--until", text)
    if isinstance(time, int):
        raise UserError(f"--until {text}: must be `now` or a time, such as 2026-11-25T12:00:00Z")
    return time
