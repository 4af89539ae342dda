"""How long from producing a reading to its anomaly being readable in each store.

Probes are readings that are all anomalies: the values of a window lie around 0, those of the next around a million,
and so on, so each is far from the window before its own. A tenth of the readings are probes, but no more than 100 a
second: that is more than any real stream has of anomalies. The rest is noise of other series.

The topic of anomalies is read afterwards: the broker has noted when it appended each. Cassandra and Elasticsearch are
asked by key for the probes of one series, again and again. That is a load of its own, so it has a time of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.bench.load import SteadyLoad
from oda.bench.recorder import Background
from oda.bench.results import stamp
from oda.core.detectors.sigma import Sigma
from oda.core.kinds import ANOMALIES
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.reader import follow, reader
from oda.settings import Settings
from oda.stores import elasticsearch
from oda.stores.cassandra import CassandraStore
from oda.stores.indices import address
from oda.storm.topologies import Storm

_WARM_UP_SECONDS = 60.0
"""The first windows have no baseline, and a worker's young JVM compiles for most of a minute."""

_PROBES_A_SECOND = 100

_SERIES_PROBES_A_SECOND = 10
"""Enough for a baseline in each window."""

_FOLLOWED = "probe-0"
"""The series that the stores are asked for."""

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
    """A reading whose anomaly is awaited: series, time in epoch ms, and when it was sent in seconds since 1970."""

    series: str
    time: int
    sent: float


class _Watch(Background):
    """Notes when each anomaly that is wanted can first be read in a store; `find` asks it."""

    def __init__(self, find: Find) -> None:
        self.wanted: dict[Place, Probe] = {}
        self._found: dict[Place, float] = {}
        self._find = find
        super().__init__()

    def found(self, probes: Mapping[Place, Probe]) -> dict[Place, float]:
        """When each could be read, seconds since 1970; waits for those that are still on their way."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not probes.keys() <= self._found.keys() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return self._found

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            places = self._find(self.wanted.copy())
            now = time.time()
            for place in places:
                self._found.setdefault(place, now)
                self.wanted.pop(place, None)


def measure(settings: Settings, storm: Storm, rate: int, seconds: float) -> Latencies:
    """Latencies of the probes that were produced after the warm-up.

    Args:
        settings: those of a topology that is not running yet.
        storm: where it will.
        rate: readings a second, over all series; at least 100.
        seconds: how long to measure, for Kafka and again for the other two.

    Raises:
        UserError: an anomaly did not arrive.
    """
    stamp(settings)
    probe_rate = min(rate // 10, _PROBES_A_SECOND)
    with ExitStack() as stack:
        stack.enter_context(storm.running(settings.kafka.group))
        watches = [
            stack.enter_context(_Watch(stack.enter_context(store(settings)))) for store in (_cassandra, _elasticsearch)
        ]
        stack.enter_context(SteadyLoad(settings, rate - probe_rate))
        _produce(settings, probe_rate, _WARM_UP_SECONDS, [])
        every = _produce(settings, probe_rate, seconds, [])
        asked = _produce(settings, probe_rate, seconds, watches)
        followed = {place: probe for place, probe in asked.items() if _is_followed(probe)}
        stores = [_latencies(followed, watch.found(followed)) for watch in watches]
        return Latencies(_latencies(every, _appended(settings, every)), *stores)


def _latencies(probes: Mapping[Place, Probe], found: Mapping[Place, float]) -> NDArray[np.float64]:
    if missing := probes.keys() - found.keys():
        raise UserError(
            f"{len(missing)} of {len(probes)} anomalies did not arrive within {_PATIENCE_SECONDS:.0f} s: "
            "the machine does not keep up (use a lower --rate), or a server has failed (see `oda status`)"
        )
    return np.array([found[place] - probe.sent for place, probe in probes.items()]) * 1000


def _is_followed(probe: Probe) -> bool:
    return probe.series == _FOLLOWED


def _appended(settings: Settings, probes: Mapping[Place, Probe]) -> dict[Place, float]:
    """When the broker appended each anomaly, seconds since 1970, to the ms; waits for those of the probes."""
    found: dict[Place, float] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with reader(settings.kafka, [settings.kafka.anomalies], from_beginning=True) as consumer:
        for _, records in follow(consumer, deadline):
            for record in records:
                anomaly = ANOMALIES.located(record.value)
                found[anomaly.partition, anomaly.row.offset] = record.timestamp / 1000
            if probes.keys() <= found.keys():
                break
    return found


def _produce(settings: Settings, rate: int, seconds: float, asked: list[_Watch]) -> dict[Place, Probe]:
    """Produce probes; returns them when Kafka has acknowledged all."""
    probes: dict[Place, Probe] = {}

    def acknowledged(probe: Probe, metadata: Any) -> None:
        place = metadata.partition, metadata.offset
        probes[place] = probe
        for watch in asked if _is_followed(probe) else []:
            watch.wanted[place] = probe

    series = rate // _SERIES_PROBES_A_SECOND
    producer = client.producer(settings.kafka, enable_idempotence=True, linger_ms=0)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > _BURST_SECONDS:
            time.sleep(pause)
        now = time.time_ns() // 1_000_000
        level = 1e6 * (now // settings.window.size_ms % 2)
        probe = Probe(f"probe-{number % series}", now, time.time())
        message = encode(Reading(probe.series, now, level + number % 7))
        producer.send(settings.kafka.readings, message, key=probe.series.encode()).add_callback(acknowledged, probe)
    producer.close()
    return probes


@contextmanager
def _cassandra(settings: Settings) -> Iterator[Find]:
    with closing(CassandraStore(settings)) as store:

        def find(wanted: dict[Place, Probe]) -> list[Place]:
            if not wanted:
                return []
            times = [probe.time for probe in wanted.values()]
            rows = store.recent(ANOMALIES, _FOLLOWED, min(times), max(times) + 1)
            return [(row["partition"], row["offset"]) for row in rows]

        yield find


@contextmanager
def _elasticsearch(settings: Settings) -> Iterator[Find]:
    """By their ids, which finds a document at once; a search finds it after the next refresh."""
    prefix, topic = settings.elasticsearch.prefix, settings.kafka.readings
    with closing(elasticsearch.connect(settings.elasticsearch)) as insights:

        def find(wanted: dict[Place, Probe]) -> list[Place]:
            if not wanted:
                return []
            rows = [
                {
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                    "detector": Sigma.name,
                    "time": probe.time,
                }
                for (partition, offset), probe in wanted.items()
            ]
            docs = [address(prefix, ANOMALIES, row) for row in rows]
            answers = insights.mget(docs=docs, source=False)["docs"]  # in the order of the questions
            return [place for place, answer in zip(wanted, answers, strict=True) if answer.get("found")]

        yield find
