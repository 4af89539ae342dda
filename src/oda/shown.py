"""Names and times as people see them."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(ms: int) -> str:
    """Epoch ms as UTC.

    >>> time_text(1732300000123)
    '2024-11-22 18:26:40.123'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def plain(name: str) -> str:
    r"""A name that can't command the terminal, nor turn the direction of a text.

    >>> plain("pump\x1b[2J")
    'pump\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
