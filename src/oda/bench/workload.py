"""What the benchmarks have to chew: a topic full of readings."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from oda.collect.producer import Producer
from oda.core.groups.definition import PREFIX, Definition
from oda.core.reading import Reading, encode
from oda.settings import Settings

JITTER_MS = 500
"""How far a shuffled reading's time may be behind its place in the log."""


class Workload(NamedTuple):
    """Noise around a level of its own for each series; one reading in a thousand is 50 standard deviations off.

    Series take turns, each with a reading every 10 ms, or rarer when there are more than 250 of them, down to one a
    second. `shuffled` readings are out of order by up to `JITTER_MS`. With `groups` the series are dealt to so many.
    """

    series: int
    readings: int
    shuffled: bool = False
    groups: int = 0

    @property
    def step_ms(self) -> int:
        """Between the readings of a series."""
        return min(1000, max(10, self.series // 25))

    @property
    def duration_ms(self) -> int:
        """From the first reading to the last."""
        return self.readings // self.series * self.step_ms

    @property
    def lateness_ms(self) -> int:
        """With which no reading is late."""
        return 2 * JITTER_MS if self.shuffled else 0

    @property
    def members(self) -> int:
        """Of each group; as of one group if there is none."""
        return self.series // max(1, self.groups)

    @property
    def group_lateness_ms(self) -> int:
        """With which no member is too late for its group, though no clock closes windows.

        Every series has a reading in each step, and one that is out of order is behind its place by the jitter.
        """
        return self.lateness_ms + JITTER_MS + self.step_ms

    def groups_over(self, start: int, definition: Definition) -> set[tuple[str, int]]:
        """The windows of groups that readings alone end, by the group's series and start, epoch ms.

        Args:
            start: when the first reading was.
            definition: of all groups; a minute is a multiple of its windows.

        >>> sorted(Workload(1, 701, groups=1).groups_over(60_000, Definition(1, 2000, 500, "mean", 1)))
        [('group:rack-0', 60000), ('group:rack-0', 62000), ('group:rack-0', 64000)]
        """
        newest = start + (self.readings // self.series - 1) * self.step_ms - JITTER_MS * self.shuffled
        starts = range(start, newest - definition.size - definition.lateness + 1, definition.size)
        return {(f"{PREFIX}rack-{number}", at) for number in range(self.groups) for at in starts}

    def __str__(self) -> str:
        groups = f", {self.groups:,} groups" if self.groups else ""
        return f"{self.series:,} series, {'out of order' if self.shuffled else 'in order'}{groups}"


def series_name(number: int, groups: int = 0) -> str:
    """What a series is called; where there are groups, its group's name stands before it.

    >>> series_name(13), series_name(13, groups=10)
    ('bench-13', 'rack-3/bench-13')
    """
    return f"rack-{number % groups}/bench-{number}" if groups else f"bench-{number}"


def noise(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Normal around 0, shape (count,); one in a thousand is 50 standard deviations off."""
    return random.normal(size=count) + 50.0 * (random.random(count) < 0.001)


def fill(settings: Settings, workload: Workload, ago_ms: int = 0) -> int:
    """Write a workload to the readings topic whose last reading was `ago_ms` ago, up to a minute more.

    Returns:
        When it starts, epoch ms: a whole minute.
    """
    start = (time.time_ns() // 1_000_000 - ago_ms - workload.duration_ms) // 60_000 * 60_000
    write(settings, workload, start)
    return start


def write(settings: Settings, workload: Workload, start: int) -> None:
    """Write a workload that starts then, epoch ms, to the readings topic: the same each time."""
    random = np.random.default_rng(1)
    count, series = workload.readings, workload.series
    times = start + np.arange(count) // series * workload.step_ms
    if workload.shuffled:
        times -= random.integers(0, JITTER_MS, count)
    values = np.arange(count) % series + noise(random, count)
    names = [series_name(number, workload.groups) for number in range(series)]
    producer = Producer(settings.kafka, settings.kafka.readings)
    rows = zip(times.tolist(), values.tolist(), strict=True)
    for number, (at, value) in enumerate(track(rows, "filling the topic", total=count)):
        reading = Reading(names[number % series], at, value)
        producer.send(encode(reading), reading.series.encode())
    producer.close(timeout=60)
