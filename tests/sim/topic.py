"""A simulated Kafka: a topic of readings, and what a group has committed of it.

Records are bytes, as collectors make them, with what is no reading among them, and offsets that hold no record.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

from oda.core import clock, rulemark
from oda.core.rules.match import digest
from oda.kafka.source import _task_of
from oda.settings import Settings
from sim.events import START, Events


class Record(NamedTuple):
    """As the spout and the audit know one."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    by_broker: bool = True
    timestamp_type: int = 1


class AwayError(Exception):
    """A server does not answer, or its answer got lost."""


class Topic:
    """The partitions' records, and the group's committed offsets.

    Attributes:
        rules: texts of the topic of rules, by version.
        away_until: the brokers answer nobody before that.
        most: records that they give at once, where a reader asks for fewer.
        committing: is told of each commit.
    """

    def __init__(self, events: Events, partitions: int) -> None:
        self.events = events
        self.records: dict[int, list[Record]] = {number: [] for number in range(partitions)}
        self.ends = dict.fromkeys(self.records, 0)
        self.committed = dict.fromkeys(self.records, 0)
        self.rules: dict[int, str] = {}
        self.away_until = 0.0
        self.most = 0
        self.committing: Callable[[dict[int, int]], None] = lambda _: None

    def append(self, partition: int, key: bytes | None, value: bytes | None, gap: int = 0) -> int:
        """Add a record behind `gap` offsets that hold none; returns its offset."""
        offset = self.ends[partition] + gap
        stamp = int((START + self.events.now) * 1000)
        self.records[partition].append(Record(offset, stamp, key, value))
        self.ends[partition] = offset + 1
        return offset

    def add_partition(self) -> None:
        number = len(self.records)
        self.records[number] = []
        self.ends[number] = self.committed[number] = 0

    def between(self, partition: int, start: int, most: int) -> list[Record]:
        records = self.records[partition]
        first = bisect_left(records, start, key=attrgetter("offset"))
        return records[first : first + most]

    def require(self) -> None:
        if self.events.now < self.away_until:
            raise AwayError("Kafka is away")


class Source:
    """What the spout asks instead of `oda.kafka.source.KafkaSource`."""

    def __init__(self, topic: Topic, task: int, tasks: int, most: int) -> None:
        self._topic, self._task, self._tasks, self._most = topic, task, tasks, most
        self._positions: dict[int, int] = {}

    def changed(self) -> None:
        return None

    def new_partitions(self, known: set[int]) -> dict[int, int]:
        if self._topic.events.now < self._topic.away_until:
            return {}
        new = {
            number: self._topic.committed[number]
            for number in self._topic.records
            if number not in known and _task_of(number, self._tasks) == self._task
        }
        self._positions |= new
        return new

    def overtaken(self) -> set[int]:
        return set()

    def poll(self, _timeout_ms: int, paused: bool) -> dict[int, list[Record]]:
        if paused or self._topic.events.now < self._topic.away_until:
            return {}
        found = {}
        for number, position in self._positions.items():
            most = self._topic.events.random.randint(1, max(self._most, self._topic.most))
            records = self._topic.between(number, position, most)
            if records:
                found[number] = records
                self._positions[number] = records[-1].offset + 1
        return found

    def position(self, partition: int) -> int:
        return self._positions[partition]

    def ends(self) -> dict[int, int]:
        if self._topic.events.now < self._topic.away_until:
            return {}
        return {number: self._topic.ends[number] for number in self._positions}

    def commit(self, offsets: dict[int, int]) -> bool:
        """It may have been done when that is not known."""
        events = self._topic.events
        if events.now < self._topic.away_until:
            return False
        self._topic.committing(offsets)
        self._topic.committed |= offsets
        return not events.chance(0.1)


class Rules:
    """What the spout asks instead of `oda.kafka.rules.PatientRules`; it begins when Kafka answers, not before."""

    def __init__(self, topic: Topic, settings: Settings) -> None:
        self._topic, self._group = topic, settings.kafka.group

    def read(self, version: int) -> str:
        return self._topic.rules[version]

    def repeat(self, partitions: Iterable[int]) -> None:
        rules = self._topic.rules
        for partition in partitions if rules else ():
            version = max(rules)
            value = rulemark.encode(self._group, version, digest(rules[version]))
            self._topic.append(partition, rulemark.KEY, value)


class ClockWriter:
    """What the window bolt asks instead of `oda.stores.clock.ClockWriter`."""

    def __init__(self, topic: Topic, settings: Settings) -> None:
        self._topic, self._group = topic, settings.kafka.group

    def write(self, partition: int, position: int, through: dict[str, int], ended: list[str]) -> None:
        self._topic.require()
        for value in clock.encode(self._group, position, through, ended):
            self._topic.append(partition, clock.KEY, value)
        if self._topic.events.chance(0.1):
            raise AwayError("Kafka's answer got lost")
