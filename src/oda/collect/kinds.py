"""The series of `oda demo`: one of each kind of trouble, which recurs, so that each is seen within a minute.

Pure: the same seed gives the same readings; knows nothing of clocks or Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import pi, sin
from random import Random

from oda.collect.walk import Walk
from oda.core.reading import Reading

INTERVAL_MS = 100
"""Between two readings of a series."""

_A_SECOND = 1000 // INTERVAL_MS

_DAY = 12 * _A_SECOND
"""Readings; a day of twelve seconds, so that one need not wait for the fourth."""

Kind = Callable[[Random, int], float | None]
"""The value of the n-th reading; None: it does not come."""


def _walk() -> Kind:
    """A random walk with a spike every 20 seconds."""
    walk = Walk(Random(1))

    def value(_: Random, number: int) -> float:
        return walk.step() + (60.0 if number % (20 * _A_SECOND) == 15 * _A_SECOND else 0.0)

    return value


def _season(start: int) -> Kind:
    """Days that are like each other, whenever it starts; the fifth one of a week is without its noon."""
    begun = start // INTERVAL_MS % _DAY

    def value(random: Random, number: int) -> float:
        day, hour = divmod(begun + number, _DAY)
        noon = max(0.0, sin(2 * pi * hour / _DAY)) * 20
        return 50 + (0.0 if day % 7 == 4 else noon) + random.gauss(0, 0.5)

    return value


def _stuck() -> Kind:
    """A sensor that repeats itself for 10 of each 40 seconds."""
    last = 21.0

    def value(random: Random, number: int) -> float:
        nonlocal last
        if number // _A_SECOND % 40 not in range(15, 25):
            last = round(21 + random.gauss(0, 0.4), 2)
        return last

    return value


def _silent(random: Random, number: int) -> float | None:
    """A sensor of which nothing comes for 12 of each 45 seconds."""
    return None if number // _A_SECOND % 45 in range(18, 30) else 7.0 + random.gauss(0, 0.1)


def _drift(random: Random, number: int) -> float:
    """A level that leaves its place after 20 of each 60 seconds, too slowly for any single reading to tell."""
    seconds = number / _A_SECOND % 60
    return 100 + max(0.0, seconds - 20) * 0.3 + random.gauss(0, 1)


SERIES = ("demo/walk", "demo/season", "demo/stuck", "demo/silent", "demo/drift")
"""In the order in which they take turns."""


def readings(start: int, seed: int | None = None) -> Iterator[Reading]:
    """Without end, in the order of their times.

    Args:
        start: time of the first, epoch ms.
        seed: for the same ones again.

    >>> [(reading.series, reading.time) for reading, _ in zip(readings(5, 1), range(6))][-2:]
    [('demo/drift', 5), ('demo/walk', 105)]
    """
    random = Random(seed)
    kinds = dict(zip(SERIES, (_walk(), _season(start), _stuck(), _silent, _drift), strict=True))
    number = 0
    while True:
        for name, kind in kinds.items():
            value = kind(random, number)
            if value is not None:
                yield Reading(name, start + number * INTERVAL_MS, value)
        number += 1
