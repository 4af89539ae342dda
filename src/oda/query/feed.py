"""What comes in Kafka, decoded in a thread of its own and handed on: readings, results, verdicts.

It begins with some of what there is, so that who starts knows the series that live: of incidents and verdicts all, of
the rest the newest. What follows is handed on as it comes, each poll at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from oda import verdicts
from oda.audit import record as audits
from oda.audit.record import AuditRecord
from oda.core import log
from oda.core.batch import Readings
from oda.core.kinds import OF_SERIES, Anomaly, Bounds, ClosedWindow, Incident, Located
from oda.errors import UserError
from oda.kafka.reader import reader
from oda.kafka.records import Record, lean
from oda.kafka.topics import create_topics
from oda.results import Results
from oda.settings import Settings
from oda.verdicts import Verdict

NEWEST = 400_000
"""Readings, windows, anomalies: so many of each are read at the beginning, of all partitions together."""

_POLL_MS = 250
_PAUSE_SECONDS = 0.02
"""From one poll to the next: each costs, however little it brings, and viewers are told of what is new less often."""

_RETRY_SECONDS = 2.0

_LOG = logging.getLogger(__name__)


@dataclass
class News:
    """What one poll brought.

    Attributes:
        readings: by partition, each with when the broker took the newest of them, epoch ms.
        is_live: whether all that was there at the beginning has been handed on before.
    """

    is_live: bool
    readings: list[tuple[int, Readings, int]] = field(default_factory=list)
    windows: list[Located[ClosedWindow]] = field(default_factory=list)
    anomalies: list[Located[Anomaly]] = field(default_factory=list)
    bands: list[Located[Bounds]] = field(default_factory=list)
    incidents: list[Located[Incident]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    audits: list[AuditRecord] = field(default_factory=list)


class Feed:
    """Reads until it is stopped; a Kafka that is away is waited for.

    Attributes:
        problem: why it does not read; None if it does.
        is_live: whether it has caught up with what was there at the beginning.

    Args:
        settings: where Kafka is.
        take: is given what comes, in the feed's thread; while it does not return nothing more is read.
    """

    def __init__(self, settings: Settings, take: Callable[[News], None]) -> None:
        self.problem: str | None = "has not read yet"
        self.is_live = False
        self._settings = settings
        self._take = take
        self._results = Results(settings.kafka, kinds=OF_SERIES)
        self._positions: dict[TopicPartition, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; returns when that is so."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
            except Exception as error:  # a thread that ends in silence would leave everything as it was for ever
                is_known = isinstance(error, KafkaError | UserError | OSError)
                problem = str(error) if is_known else repr(error)
                if self.problem != problem:
                    _LOG.warning("not reading: %s", problem, exc_info=not is_known)
                self.problem = problem
                self._stopped.wait(_RETRY_SECONDS)

    def _read(self) -> None:
        create_topics(self._settings.kafka)
        options = {"fetch_max_wait_ms": 100, "max_poll_records": 5_000, "metadata_max_age_ms": 10_000}
        with reader(self._settings.kafka, self._topics, False, **options) as consumer:
            lean(consumer)
            numbers = set(consumer.partitions_for_topic(self._settings.kafka.readings))
            ends = consumer.end_offsets(consumer.assignment())
            self._seek(consumer, ends)
            while not self._stopped.is_set():
                polled = consumer.poll(_POLL_MS)
                self._take(self._news(polled))
                self._positions = {part: consumer.position(part) for part in ends}
                self.problem = None
                if not self.is_live:
                    self.is_live = all(self._positions[part] >= end for part, end in ends.items())
                if self.is_live:
                    self._stopped.wait(_PAUSE_SECONDS)
                if consumer.partitions_for_topic(self._settings.kafka.readings) != numbers:
                    return  # and begin again, with those that are new

    @property
    def _topics(self) -> list[str]:
        kafka = self._settings.kafka
        results = [getattr(kafka, kind.name) for kind in OF_SERIES]
        return [kafka.readings, *results, kafka.verdicts, kafka.audits]

    def _seek(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> None:
        """Where it stopped; else so far back that the newest are read, and all of what is rare."""
        beginnings = consumer.beginning_offsets(list(ends))
        kafka = self._settings.kafka
        whole = (kafka.incidents, kafka.verdicts, kafka.audits)
        for part, end in ends.items():
            count = sum(other.topic == part.topic for other in ends)
            first = beginnings[part] if part.topic in whole else end - NEWEST // count
            at = self._positions.get(part, first)
            consumer.seek(part, min(end, max(beginnings[part], at)))

    def _news(self, polled: Mapping[TopicPartition, Sequence[Record]]) -> News:
        kafka, news = self._settings.kafka, News(self.is_live)
        for part, records in polled.items():
            if part.topic == kafka.readings:
                readings = self._readings(records)
                if len(readings.offsets):
                    news.readings.append((part.partition, readings, records[-1].timestamp))
            elif part.topic == kafka.verdicts:
                news.verdicts += filter(None, (verdicts.decode(record.value) for record in records))
            elif part.topic == kafka.audits:
                news.audits += filter(None, (audits.decode(record.value) for record in records))
            else:
                self._add_results(news, part.topic, records)
        return news

    def _readings(self, records: Sequence[Record]) -> Readings:
        group, max_ahead = self._settings.kafka.group, self._settings.readings.max_ahead_ms
        return log.read(records, group, max_ahead, _no_text).readings

    def _add_results(self, news: News, topic: str, records: Sequence[Record]) -> None:
        lists: dict[str, list[Any]] = {
            self._settings.kafka.windows: news.windows,
            self._settings.kafka.anomalies: news.anomalies,
            self._settings.kafka.bands: news.bands,
            self._settings.kafka.incidents: news.incidents,
        }
        found = (self._results.take(topic, record.value) for record in records)
        lists[topic] += (one for one in found if one is not None)


def _no_text(version: int) -> str:
    """Of rules, which nobody asks for here."""
    raise LookupError(version)


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return int(time.time() * 1000)
