"""How far ahead of its record's timestamp a reading's time may be: a function of the log alone."""

from __future__ import annotations

FIRST_STAMP = 946_684_800_000
"""2000-01-01, epoch ms: no producer's clock means a time before it. It sent -1 (none), 0, or seconds."""

SLOW_CLOCK_MS = 366 * 86_400_000
"""How slow a producer's clock may be."""


def latest_time(timestamp: int, max_ahead: int, by_broker: bool) -> int | None:
    """The latest time that a reading may have; None if its record's timestamp is no ground to refuse any.

    Args:
        timestamp: the record's, epoch ms.
        max_ahead: how far a time may be ahead of the broker's clock, ms.
        by_broker: whether the broker made the timestamp; else it is the producer's clock.
    """
    if by_broker:
        return timestamp + max_ahead
    return None if timestamp < FIRST_STAMP else timestamp + max(max_ahead, SLOW_CLOCK_MS)
