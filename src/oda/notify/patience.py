"""When a receiver is tried again: later each time that it is away, or after a pause that it is given. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable

LONGEST_SECONDS = 60.0


class Patience:
    """By a clock (seconds) and chance (0 to 1) that are given.

    >>> now = [0.0]
    >>> patience = Patience(lambda: now[0], lambda: 1.0)
    >>> patience.is_over, patience.failed(), patience.failed(), patience.failed(at_least=300.0)
    (True, 1.0, 2.0, 300.0)
    >>> [patience.failed() for _ in range(4)]
    [8.0, 16.0, 32.0, 60.0]
    >>> patience.is_over
    False
    >>> patience.went(pause=10.0)
    >>> patience.failed()
    1.0
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether to try."""
        return self._clock() >= self._until

    def failed(self, at_least: float = 0.0) -> float:
        """Wait twice as long as the last time, by half to all of it, so that not all try at once; returns how long."""
        longest = min(2.0 ** min(self._failures, 10), LONGEST_SECONDS)
        seconds = max(at_least, longest * (1 + self._chance()) / 2)
        self._failures += 1
        self._until = self._clock() + seconds
        return seconds

    def went(self, pause: float) -> None:
        """It takes what it is given; the next comes after a pause."""
        self._failures = 0
        self._until = self._clock() + pause
