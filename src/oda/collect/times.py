"""Times as people and files write them, in epoch milliseconds; and when a reading is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from oda.core.reading import Reading

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def parse_time(text: str) -> int:
    """Epoch milliseconds of a time: epoch ms, RFC 3339, or `YYYY-MM-DD HH:MM:SS` (taken as UTC).

    Raises:
        ValueError: it is none of these.

    >>> parse_time("1732300000123"), parse_time("2024-11-22T19:26:40.123+01:00")
    (1732300000123, 1732300000123)
    >>> parse_time("2014-04-01 00:05:00")
    1396310700000
    """
    text = text.strip()
    if text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: epoch ms, RFC 3339 or YYYY-MM-DD HH:MM:SS") from None
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MS


@dataclass(frozen=True)
class Replay:
    """When recorded readings are due, in epoch ms.

    The first is due at `start`, each other as long after it as it was recorded, divided by `speed`;
    with speed None all are due at once. With `shift` a reading's time becomes the moment it is due.

    >>> recorded = [Reading("a", 1_000, 0.5), Reading("a", 61_000, 1.5)]
    >>> [due for due, _ in Replay(start=9_000, speed=60.0).schedule(recorded)]
    [9000.0, 10000.0]
    >>> [reading.time for _, reading in Replay(start=9_000, speed=60.0, shift=True).schedule(recorded)]
    [9000, 10000]
    """

    start: int
    speed: float | None
    shift: bool = False

    def schedule(self, readings: Iterable[Reading]) -> Iterator[tuple[float, Reading]]:
        """Pairs of due time and reading, in the order given."""
        first: int | None = None
        for reading in readings:
            if first is None:
                first = reading.time
            due = float(self.start) if self.speed is None else self.start + (reading.time - first) / self.speed
            yield due, reading._replace(time=int(due)) if self.shift else reading
