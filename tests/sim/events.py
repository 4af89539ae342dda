"""Time that passes from event to event, chance from one seed, and a timeline of what happened."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random

START = 1_732_300_000.0
"""Where simulated time begins, seconds since 1970."""


class Events:
    """What happens when; everything that is simulated asks it for time and chance.

    Attributes:
        now: seconds since the run began.
        random: the only source of chance.
        timeline: what happened, for people.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.timeline: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen so many seconds from now; of what is due at once, in the order of asking."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), event))

    def soon(self, most: float, event: Callable[[], None]) -> None:
        """Let something happen within so many seconds."""
        self.after(self.random.random() * most, event)

    def run(self, until: float) -> None:
        """Let happen what is due before a time."""
        while self._queue and self._queue[0][0] < until:
            self.now, _, event = heapq.heappop(self._queue)
            event()
        self.now = until

    def note(self, text: str) -> None:
        """Add to the timeline."""
        self.timeline.append(f"{self.now:9.3f} {text}")

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability
