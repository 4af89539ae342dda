"""How long from producing a reading to its anomaly being readable in the results topic.

Probes are readings that are all anomalies: the values of a window lie around 0, those of the next around a million,
and so on, so each is far from the window before its own. Up to 100 a second are probes, more than any real stream has
of anomalies; what the rate is beyond that are readings that are none, of other series.
"""

from __future__ import annotations

import threading
import time

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer
from numpy.typing import NDArray

from oda.core.reading import Reading, encode
from oda.settings import Settings

_WARM_UP_SECONDS = 15.0
"""The first windows have no baseline, and a young JVM is slow."""

_PROBES_A_SECOND = 100

_BURST_SECONDS = 0.001
"""Shorter pauses are not worth a system call."""


def measure(settings: Settings, rate: float, seconds: float, series: int) -> NDArray[np.float64]:
    """Latencies in ms, shape (n,), of the probes produced after the warm-up.

    Args:
        settings: a topology with these settings is running.
        rate: readings a second, over all series.
        seconds: how long to measure.
        series: how many series take turns.
    """
    sent: dict[tuple[int, int], float] = {}
    received: dict[tuple[int, int], float] = {}
    stop = threading.Event()
    reader = threading.Thread(target=_receive, args=(settings, received, stop), daemon=True)
    reader.start()
    _produce(settings, rate, _WARM_UP_SECONDS, series, {})
    _produce(settings, rate, seconds, series, sent)
    deadline = time.monotonic() + 30
    while not sent.keys() <= received.keys() and time.monotonic() < deadline:
        time.sleep(0.1)
    stop.set()
    reader.join()
    missing = sent.keys() - received.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(sent)} anomalies did not arrive")
    return np.array([received[place] - at for place, at in sent.items()]) * 1000


def _produce(settings: Settings, rate: float, seconds: float, series: int, sent: dict[tuple[int, int], float]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.brokers.split(","), acks="all", enable_idempotence=True, linger_ms=0
    )
    futures = []
    every = max(1, round(rate / _PROBES_A_SECOND))
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > _BURST_SECONDS:
            time.sleep(pause)
        now = time.time_ns() // 1_000_000
        is_probe = number % every == 0
        name = f"{'probe' if is_probe else 'load'}-{number // every % series}"
        level = 1e6 * (now // settings.window.size_ms % 2) if is_probe else 0.0
        at = time.perf_counter()
        reading = Reading(name, now, level + number % 7)
        future = producer.send(settings.kafka.readings, encode(reading), key=name.encode())
        if is_probe:
            futures.append((at, future))
    producer.flush()
    for at, future in futures:
        metadata = future.get()
        sent[metadata.partition, metadata.offset] = at
    producer.close()


def _receive(settings: Settings, received: dict[tuple[int, int], float], stop: threading.Event) -> None:
    consumer = KafkaConsumer(
        settings.kafka.anomalies, bootstrap_servers=settings.kafka.brokers.split(","), fetch_max_wait_ms=100
    )
    while not stop.is_set():
        for messages in consumer.poll(200).values():
            at = time.perf_counter()
            for message in messages:
                row = msgspec.json.decode(message.value)
                received.setdefault((row["partition"], row["offset"]), at)
    consumer.close()
