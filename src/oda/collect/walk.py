"""The random walk of the naive producer, as a source of readings.

    dir = clamp(normal(mean=dir, sd=1), -0.75, 0.75)        value += dir

both starting at 0. Pure: the same seed gives the same walk; knows nothing of clocks or Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from oda.core.reading import Reading

MAX_DIRECTION = 0.75

SPIKE = 1_000.0
"""How far a spike displaces a reading: hundreds of times what the walk does in a window of seconds."""


class Walk:
    """One random walk; each `step` is its next value.

    >>> walk = Walk(Random(1))
    >>> [round(walk.step(), 3) for _ in range(4)]
    [0.75, 1.5, 2.25, 2.235]
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._direction = 0.0
        self._value = 0.0

    def step(self) -> float:
        """Move and return the new value."""
        direction = self._random.gauss(self._direction, 1.0)
        self._direction = min(MAX_DIRECTION, max(-MAX_DIRECTION, direction))
        self._value += self._direction
        return self._value


@dataclass(frozen=True)
class Walks:
    """Walks side by side, `walk-0` to `walk-{series - 1}`, that take turns.

    Reading i is at `start + i * interval`, in ms. Every `spikes` readings on average one is displaced
    by `SPIKE`, up or down (0: none); the walk itself goes on as if it had not been.

    >>> [reading.series for reading, _ in zip(Walks(series=2, start=0, interval=5.0).readings(), range(3))]
    ['walk-0', 'walk-1', 'walk-0']
    """

    series: int
    start: int
    interval: float
    seed: int | None = None
    spikes: int = 0

    def readings(self) -> Iterator[Reading]:
        """The readings, without end."""
        steps = Random(self.seed)
        walks = [(f"walk-{number}", Walk(steps)) for number in range(self.series)]
        displacements = self._displacements()
        sent = 0
        while True:
            for name, walk in walks:
                yield Reading(name, self.start + int(sent * self.interval), walk.step() + next(displacements))
                sent += 1

    def _displacements(self) -> Iterator[float]:
        random = Random(None if self.seed is None else f"spikes {self.seed}")  # its own: the walks stay as they are
        while True:
            hit = self.spikes > 0 and random.random() * self.spikes < 1
            yield random.choice((SPIKE, -SPIKE)) if hit else 0.0
