"""Times as people and files write them; and when a reading is due."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from oda.core.reading import Reading

_INTEGER = re.compile(r"-?\d+", re.ASCII)


def parse_time(text: str) -> int | datetime:
    """A time as a message has it: a number as it is; RFC 3339 or `YYYY-MM-DD HH:MM:SS` (taken as UTC) in UTC.

    Raises:
        ValueError: it is none of these.

    >>> parse_time("1732300000123"), parse_time("2024-11-22T19:26:40+01:00").isoformat()
    (1732300000123, '2024-11-22T18:26:40+00:00')
    >>> parse_time("2014-04-01 00:05:00").isoformat()
    '2014-04-01T00:05:00+00:00'
    """
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time: epoch ms, RFC 3339 or YYYY-MM-DD HH:MM:SS") from None


Cut = Callable[[Reading, float], None]
"""Is told of a reading before which the pause is cut short, and the pause as it was recorded, ms."""


@dataclass(frozen=True)
class Replay:
    """When recorded readings are due, in epoch ms.

    The first is due at `start`, each other as long after it as it was recorded, divided by `speed`; with speed None
    all are due at once. A pause of more than `longest_pause` ms is cut to that, and a reading that is older by more
    than that is due at once; the recording goes on from there. So one time that is far off does no harm to the
    pace of those that follow. With `shift` a reading's time becomes the moment it is due.

    >>> recorded = [Reading("a", time, 0.5) for time in (1_000, 61_000, 9_061_000, 9_121_000)]
    >>> replay = Replay(start=5_000, speed=60.0, longest_pause=2_000, cut=lambda reading, pause: print("cut:", pause))
    >>> [due for due, _ in replay.schedule(recorded)]
    cut: 150000.0
    [5000.0, 6000.0, 8000.0, 9000.0]
    """

    start: int
    speed: float | None
    shift: bool = False
    longest_pause: float = inf
    cut: Cut = lambda *_: None

    def schedule(self, readings: Iterable[Reading]) -> Iterator[tuple[float, Reading]]:
        """Pairs of due time and reading, in the order given."""
        for due, reading in self._due(readings):
            yield due, reading._replace(time=int(due)) if self.shift else reading

    def _due(self, readings: Iterable[Reading]) -> Iterator[tuple[float, Reading]]:
        if self.speed is None:
            yield from ((float(self.start), reading) for reading in readings)
            return
        first, began = None, float(self.start)  # the recorded time `first` is due at `began`
        latest = began
        for reading in readings:
            first = reading.time if first is None else first
            due = began + (reading.time - first) / self.speed
            pause = due - latest
            if abs(pause) > self.longest_pause:
                if pause > 0:
                    self.cut(reading, pause)
                first = reading.time
                began = due = latest + max(0.0, min(pause, self.longest_pause))
            yield due, reading
            latest = max(latest, due)
