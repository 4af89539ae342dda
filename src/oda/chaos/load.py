"""The load under which faults strike: readings whose fate is known.

The values of a window lie around 0, those of the next around a million, so every reading is an
anomaly and its judgement can be seen from outside. Counts what Kafka has acknowledged: a witness
that does not depend on ODA's own reading of the log.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing

from kafka import TopicPartition
from tenacity import retry, retry_if_exception_type, wait_fixed

from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.kafka import connect_consumer
from oda.settings import Settings

SERIES = [f"chaos-{number}" for number in range(16)]

_SESSION_SECONDS = 60.0
"""How long a producer lives: the next one sees new partitions."""

_LONGEST_OUTAGE = 300.0


class Load:
    """Produces `rate` readings a second until `stop`.

    Attributes:
        acknowledged: how many readings Kafka has acknowledged to producers that have ended.
    """

    def __init__(self, settings: Settings, rate: float) -> None:
        self.acknowledged = 0
        self._settings = settings
        self._rate = rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; returns when Kafka has acknowledged all that was sent."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            producer = self._connect()
            try:
                self._produce(producer)
            finally:
                producer.close(_LONGEST_OUTAGE)
                self.acknowledged += producer.acknowledged

    @retry(retry=retry_if_exception_type(UserError), wait=wait_fixed(1))
    def _connect(self) -> Producer:
        return Producer(self._settings.kafka, self._settings.kafka.readings)

    def _produce(self, producer: Producer) -> None:
        size, end = self._settings.window.size_ms, time.monotonic() + _SESSION_SECONDS
        while not self._over.wait(1 / self._rate) and time.monotonic() < end:
            now = time.time_ns() // 1_000_000
            level = 1e6 * (now // size % 2)
            number = producer.sent
            reading = Reading(SERIES[number % len(SERIES)], now, level + number % 7)
            producer.send(encode(reading), reading.series.encode())


def count_in_log(settings: Settings) -> int:
    """How many messages the topic of readings holds, as its offsets say: the load makes no transactions."""
    topic = settings.kafka.readings
    with closing(connect_consumer(settings.kafka)) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends, beginnings = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
    return int(sum(ends.values()) - sum(beginnings.values()))
