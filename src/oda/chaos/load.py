"""The load under which faults strike: readings whose fate is known.

The values of a window lie around 0, those of the next around a million, so every reading is an
anomaly and its judgement can be seen from outside. Counts what Kafka has acknowledged: a witness
that does not depend on ODA's own reading of the log.
"""

from __future__ import annotations

import threading
import time

import msgspec
from kafka import KafkaConsumer

from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.settings import Settings

SERIES = 16


class Load:
    """Produces `rate` readings a second until `stop`."""

    def __init__(self, settings: Settings, rate: float) -> None:
        self._settings = settings
        self._rate = rate
        self._over = threading.Event()
        self.acknowledged = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End it; returns how many readings Kafka has acknowledged: all that were sent."""
        self._over.set()
        self._thread.join()
        return self.acknowledged

    def _run(self) -> None:
        size = self._settings.window.size_ms
        with Producer(self._settings.kafka, self._settings.kafka.readings) as producer:
            number = 0
            while not self._over.wait(1 / self._rate):
                now = time.time_ns() // 1_000_000
                level = 1e6 * (now // size % 2)
                reading = Reading(f"chaos-{number % SERIES}", now, level + number % 7)
                producer.send(encode(reading), reading.series.encode())
                number += 1
        self.acknowledged = producer.acknowledged


class Judged:
    """Watches the results: up to what time have the readings of each partition been judged?"""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest: dict[int, int] = {}
        self._since = 0
        self._again = threading.Event()
        self._seconds = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def expect(self, since_ms: int) -> None:
        """From now on, look for the moment when readings produced since then (epoch ms) are judged."""
        self._since = since_ms
        self._again.clear()

    def wait(self, limit: float) -> float | None:
        """How many seconds after `since_ms` they were judged in every partition; None: not within `limit` from now."""
        return self._seconds if self._again.wait(limit) else None

    def _note(self, partition: int, time_ms: int) -> None:
        self._newest[partition] = max(time_ms, self._newest.get(partition, 0))
        if not self._again.is_set() and min(self._newest.values()) >= self._since:
            self._seconds = time.time() - self._since / 1000
            self._again.set()

    def _run(self) -> None:
        consumer = KafkaConsumer(
            self._settings.kafka.anomalies,
            bootstrap_servers=self._settings.kafka.brokers.split(","),
            fetch_max_wait_ms=100,
            reconnect_backoff_max_ms=1000,
        )
        while True:
            for messages in consumer.poll(200).values():
                for message in messages:
                    row = msgspec.json.decode(message.value)
                    self._note(row["partition"], row["time"])
