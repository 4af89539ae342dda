"""The load under which faults strike: readings whose fate is known.

For `_LEVEL_MS` values lie around 0, then for as long around a million, so each series has anomalies, and
that it is judged can be seen from outside. Some series more fall silent again and again, for
about as long as it takes the clock to close their windows, and then get one more reading into the
same window: in time or late, as it comes. Counts what Kafka has acknowledged: a witness that does
not depend on ODA's own reading of the log.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from random import Random

from tenacity import retry, retry_if_exception_type, wait_fixed

from oda.audit.sources import Log
from oda.collect.producer import Producer
from oda.core import clock, rulemark
from oda.core.groups import derived
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.settings import Settings, Window

SERIES = [f"chaos-{number}" for number in range(16)]

QUIET = [f"chaos-quiet-{number}" for number in range(8)]

_SESSION_SECONDS = 60.0
"""How long a producer lives: the next one sees new partitions."""

_LONGEST_OUTAGE = 300.0

_LEVEL_MS = 2_000
"""The longest window that `oda.chaos.rules` draws, and a multiple of the others: none has values of both levels."""


class TrackedLoad:
    """Produces `rate` readings a second until `stop`.

    Attributes:
        acknowledged: how many readings Kafka has acknowledged to producers that have ended.
        error: why there is no load any more, if it has failed.
    """

    def __init__(self, settings: Settings, rate: float) -> None:
        self.acknowledged = 0
        self.error: UserError | None = None
        self._settings = settings
        self._rate = rate
        self._over = threading.Event()
        self._quiet = [Quiet(name, settings.window) for name in QUIET]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; returns when Kafka has acknowledged all that was sent."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._session(self._connect())
        except UserError as error:
            self.error = error

    def _session(self, producer: Producer) -> None:
        try:
            self._produce(producer)
        finally:
            producer.close(_LONGEST_OUTAGE)
            self.acknowledged += producer.acknowledged

    @retry(retry=retry_if_exception_type(UserError), wait=wait_fixed(1))
    def _connect(self) -> Producer:
        return Producer(self._settings.kafka, self._settings.kafka.readings)

    def _produce(self, producer: Producer) -> None:
        end = time.monotonic() + _SESSION_SECONDS
        while not self._over.wait(1 / self._rate) and time.monotonic() < end:
            now = time.time_ns() // 1_000_000
            due = [in_turn(producer.sent, now)]
            for reading in (*due, *(reading for quiet in self._quiet for reading in quiet.due(now))):
                producer.send(encode(reading), reading.series.encode())


def in_turn(number: int, now: int) -> Reading:
    """The reading of that number, of the time `now` (epoch ms): each series has its turn."""
    return Reading(SERIES[number % len(SERIES)], now, 1e6 * (now // _LEVEL_MS % 2) + number % 7)


class Quiet:
    """A series with a reading, a long silence, one more of the same time, and at once the first of the next pair."""

    def __init__(self, name: str, window: Window) -> None:
        self._name = name
        self._random = Random(name)
        self._silence_ms = window.size_ms + window.lateness_ms + window.idle_ms
        self._time: int | None = None
        self._next = 0

    def due(self, now: int) -> list[Reading]:
        """What it sends at `now` (epoch ms)."""
        if now < self._next:
            return []
        pair = [] if self._time is None else [self._time]
        self._time, self._next = now, now + int(self._silence_ms * self._random.uniform(0.8, 1.2))
        return [Reading(self._name, time, float(time % 7)) for time in (*pair, now)]


def count_in_log(settings: Settings) -> int:
    """How many messages the topic of readings holds, without what ODA itself writes there."""
    with closing(Log(settings.kafka)) as log:
        ends = log.positions().ends
        records = (record for partition, end in ends.items() for record in log.records(partition, 0, end))
        return sum(record.key not in (clock.KEY, rulemark.KEY, derived.KEY) for record in records)
