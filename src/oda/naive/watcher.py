"""The naive consumer: averages of 2 s, and what is beyond 4 sigma of the one before, from memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any, NamedTuple

import socketio  # type: ignore[import-untyped]

from oda.errors import UserError
from oda.naive.server import EVENT
from oda.stopping import until_stopped

SECONDS = 2.0
SIGMAS = 4.0
LEAST = 2
"""Numbers without which an average judges nothing."""


class Average(NamedTuple):
    """Of the numbers that came within 2 s; `sigma` is the population's standard deviation."""

    numbers: int
    mean: float
    sigma: float

    def __str__(self) -> str:
        return f"average {self.mean:.3f}, sigma {self.sigma:.3f}, of {self.numbers} numbers"


class Strange(NamedTuple):
    """A number beyond 4 sigma of the average before."""

    value: float
    average: Average

    def __str__(self) -> str:
        return f"STRANGE {self.value:.3f}: beyond {SIGMAS:g} sigma of {self.average.mean:.3f}"


class Watcher:
    """What came in the last seconds, by the watcher's own clock, and the average of those before.

    >>> watcher = Watcher()
    >>> said = [str(one) for at, value in enumerate([1.0, 2.0, 3.0, 2.0, 2.0, 99.0]) for one in watcher.take(value, at)]
    >>> said[0], said[1]
    ('average 1.500, sigma 0.500, of 2 numbers', 'average 2.500, sigma 0.500, of 2 numbers')
    >>> said[2]
    'STRANGE 99.000: beyond 4 sigma of 2.500'
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._values: list[float] = []
        self._before: Average | None = None

    def take(self, value: float, now: float) -> Iterator[Average | Strange]:
        """A number that came at `now`, in seconds of any clock; says what there is to say."""
        if now >= self._until:
            if self._values:
                self._before = _average(self._values)
                yield self._before
            self._values, self._until = [], now + SECONDS
        before = self._before
        if before and before.numbers >= LEAST and abs(value - before.mean) > SIGMAS * before.sigma:
            yield Strange(value, before)
        self._values.append(value)


def _average(values: list[float]) -> Average:
    mean = sum(values) / len(values)
    return Average(len(values), mean, sqrt(sum((value - mean) ** 2 for value in values) / len(values)))


async def watch(url: str, say: Callable[[Average | Strange], None]) -> None:
    """Listen until Ctrl-C or SIGTERM, or until the server is gone. Raises UserError when there is none."""
    watcher = Watcher()
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False)

    async def take(value: Any) -> None:
        for one in watcher.take(float(value), time.monotonic()):
            say(one)

    client.on(EVENT, take)
    try:
        await client.connect(url, wait_timeout=10)
    except socketio.exceptions.ConnectionError as error:
        raise UserError(f"can't connect to {url}: {error}; is `oda naive serve` running?") from None
    ends = [asyncio.create_task(end) for end in (client.wait(), until_stopped())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await client.disconnect()
    for end in ends:
        end.cancel()
