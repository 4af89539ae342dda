"""A steady load, from processes of its own."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from math import ceil
from typing import Self

import numpy as np

from oda.bench.workload import noise, series_name
from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.settings import Settings

_STEP_SECONDS = 0.01
SERIES = 100

_MOST_A_PROCESS = 20_000
"""Readings a second that a producer is asked for; about 30,000 take all of a core."""


class SteadyLoad:
    """Produces noise around a level for each series, one reading in a thousand far off, until it is left.

    From processes of its own: as a thread it would hold up whoever measures, and one can't produce fast enough. With
    `groups` the series are dealt to so many (see `series_name`).
    """

    def __init__(self, settings: Settings, rate: int, groups: int = 0) -> None:
        count = ceil(rate / _MOST_A_PROCESS)
        self._processes = [
            multiprocessing.get_context("spawn").Process(
                target=_produce,
                args=(settings, rate // count, range(number, SERIES, count), groups),
                daemon=True,
            )
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def _produce(settings: Settings, rate: int, series: Sequence[int], groups: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends this one
    random, sent, began = np.random.default_rng(series[0]), 0, time.monotonic()
    parent = multiprocessing.parent_process()
    with Producer(settings.kafka, settings.kafka.readings) as producer:
        while parent is not None and parent.is_alive():
            time.sleep(_STEP_SECONDS)
            # A second's at most: all of it gets one time, which would be old if it can't keep up.
            due = min(int((time.monotonic() - began) * rate) - sent, rate)
            now = time.time_ns() // 1_000_000
            for value in noise(random, due).tolist():
                reading = Reading(series_name(series[sent % len(series)], groups), now, value)
                producer.send(encode(reading), reading.series.encode())
                sent += 1
