"""How long from producing a reading to its anomaly being readable in each store.

Probes are readings that are all anomalies: the values of a window lie around 0, those of the next around a million,
and so on, so each is far from the window before its own. Up to 100 a second are probes, more than any real stream has
of anomalies; what the rate is beyond that is noise of other series.

Every probe is awaited in the topic of anomalies. Cassandra and Elasticsearch are asked by key, for the probes of one
series only, so that the questions don't become the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from oda.bench.watch import Background, Load
from oda.core.reading import Reading, encode
from oda.kafka import connect
from oda.settings import Settings
from oda.stores import cassandra, elasticsearch

_WARM_UP_SECONDS = 60.0
"""The first windows have no baseline, and a worker's young JVM compiles for most of a minute."""

_PROBES_A_SECOND = 100

_LOOK_SECONDS = 0.02
"""Between two questions to a store: by so much its latency may be too high."""

_BURST_SECONDS = 0.001
"""Shorter pauses are not worth a system call."""

_PATIENCE_SECONDS = 30.0

Place = tuple[int, int]
"""Partition and offset."""

Find = Callable[[dict[Place, "Probe"]], Iterable[Place]]
"""Which anomalies can be read now; is told which are still wanted."""


class Latencies(NamedTuple):
    """In ms, by store; each of shape (n,)."""

    kafka: NDArray[np.float64]
    cassandra: NDArray[np.float64]
    elasticsearch: NDArray[np.float64]


class Probe(NamedTuple):
    """A reading whose anomaly is awaited: its series, its time in epoch ms, and when it was sent by `perf_counter`."""

    series: str
    time: int
    sent: float


class _Watch(Background):
    """Notes when each anomaly can first be read in a store.

    Args:
        find: asks the store.
        pause: between two questions, seconds.
    """

    def __init__(self, find: Find, pause: float) -> None:
        self.wanted: dict[Place, Probe] = {}
        self._found: dict[Place, float] = {}
        self._find = find
        self._pause = pause
        super().__init__()

    def latencies(self, probes: dict[Place, Probe]) -> NDArray[np.float64]:
        """Of these probes, in ms; waits for those that are still on their way.

        Raises:
            RuntimeError: some did not arrive.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not probes.keys() <= self._found.keys() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if missing := probes.keys() - self._found.keys():
            raise RuntimeError(f"{len(missing)} of {len(probes)} anomalies did not arrive")
        return np.array([self._found[place] - probe.sent for place, probe in probes.items()]) * 1000

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            places = self._find(self.wanted.copy())
            now = time.perf_counter()
            for place in places:
                self._found.setdefault(place, now)
                self.wanted.pop(place, None)


def measure(settings: Settings, rate: int, seconds: float, series: int) -> Latencies:
    """Latencies of the probes that were produced after the warm-up.

    Args:
        settings: a topology with these settings is running.
        rate: readings a second, over all series.
        seconds: how long to measure.
        series: of the probes, which take turns.

    Raises:
        RuntimeError: an anomaly did not arrive.
    """
    probe_rate = min(rate, _PROBES_A_SECOND)
    with ExitStack() as stack:
        kafka, *stores = (
            stack.enter_context(_Watch(stack.enter_context(store(settings)), pause))
            for store, pause in ((_kafka, 0.0), (_cassandra, _LOOK_SECONDS), (_elasticsearch, _LOOK_SECONDS))
        )
        stack.enter_context(Load(settings, rate - probe_rate))
        _produce(settings, probe_rate, _WARM_UP_SECONDS, series, [])
        every = _produce(settings, probe_rate, seconds, series, stores)
        followed = {place: probe for place, probe in every.items() if _is_followed(probe)}
        return Latencies(kafka.latencies(every), *(store.latencies(followed) for store in stores))


def _is_followed(probe: Probe) -> bool:
    return probe.series == "probe-0"


def _produce(settings: Settings, rate: int, seconds: float, series: int, asked: list[_Watch]) -> dict[Place, Probe]:
    """Produce probes; returns them when Kafka has acknowledged all."""
    probes: dict[Place, Probe] = {}

    def acknowledged(probe: Probe, metadata: Any) -> None:
        place = metadata.partition, metadata.offset
        probes[place] = probe
        for watch in asked if _is_followed(probe) else []:
            watch.wanted[place] = probe

    producer = connect(KafkaProducer, settings.kafka, acks="all", enable_idempotence=True, linger_ms=0)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > _BURST_SECONDS:
            time.sleep(pause)
        now = time.time_ns() // 1_000_000
        level = 1e6 * (now // settings.window.size_ms % 2)
        probe = Probe(f"probe-{number % series}", now, time.perf_counter())
        message = encode(Reading(probe.series, now, level + number % 7))
        producer.send(settings.kafka.readings, message, key=probe.series.encode()).add_callback(acknowledged, probe)
    producer.close()
    return probes


@contextmanager
def _kafka(settings: Settings) -> Iterator[Find]:
    topic = settings.kafka.anomalies
    with closing(connect(KafkaConsumer, settings.kafka, fetch_max_wait_ms=100)) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(settings.kafka.partitions)])
        consumer.seek_to_end()

        def find(_: dict[Place, Probe]) -> list[Place]:
            rows = [msgspec.json.decode(message.value) for batch in consumer.poll(100).values() for message in batch]
            return [(row["partition"], row["offset"]) for row in rows]

        yield find


@contextmanager
def _cassandra(settings: Settings) -> Iterator[Find]:
    session = cassandra.connect(settings.cassandra)
    select = session.prepare(
        f"SELECT partition, offset FROM {settings.cassandra.keyspace}.anomalies "
        "WHERE series = ? AND day IN ? AND time IN ?"
    )

    def find(wanted: dict[Place, Probe]) -> list[Place]:
        times = [datetime.fromtimestamp(probe.time / 1000, UTC) for probe in wanted.values()]
        days = list({time.date() for time in times})
        names = {probe.series for probe in wanted.values()}
        return [tuple(row) for name in names for row in session.execute(select, (name, days, times))]

    yield find
    session.cluster.shutdown()


@contextmanager
def _elasticsearch(settings: Settings) -> Iterator[Find]:
    prefix, topic = settings.elasticsearch.prefix, settings.kafka.readings
    with closing(elasticsearch.connect(settings.elasticsearch)) as client:

        def find(wanted: dict[Place, Probe]) -> list[Place]:
            if not wanted:
                return []
            docs = [
                elasticsearch.address(prefix, "anomalies", probe.time, topic, *place) for place, probe in wanted.items()
            ]
            answers = client.mget(docs=docs, source=False)["docs"]  # in the order of the questions
            return [place for place, answer in zip(wanted, answers, strict=True) if answer.get("found")]

        yield find
