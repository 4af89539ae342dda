"""What writes into the simulated logs for groups: what tells of members, and the writer of derived readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oda.core.groups import derived
from oda.core.groups.telling import Quiet, Said, Telling
from oda.settings import Settings
from oda.stores.contract import Item
from sim.stores import Client, Kept
from sim.topic import AwayError, Topic


class KafkaClient(Client):
    """The Kafka sink's connection: rows are kept, what groups are to know goes into the log of members."""

    def __init__(self, store: Kept, settings: Settings, readings: Topic, members: Topic) -> None:
        super().__init__(store)
        self._readings, self._members = readings, members
        self._telling = Telling(settings.kafka.group, len(members.records))

    def write(self, items: Sequence[Item]) -> None:
        super().write([item for item in items if not isinstance(item, Said | Quiet)])
        told = [item for item in items if isinstance(item, Said | Quiet)]
        self._append(self._telling.members(told))
        if told:
            self._append(self._telling.progress(told, len(self._readings.records)))

    def _append(self, messages: Sequence[tuple[int, bytes]]) -> None:
        self._members.require()
        events = self._members.events
        fails = events.chance(0.05)
        for partition, value in messages:
            if not fails or events.random.random() < 0.5:
                self._members.append(partition, None, value)
        if fails:
            raise AwayError("Kafka has written a part")


class DerivedWriter:
    """What the groups bolt asks instead of `oda.kafka.derived.DerivedWriter`."""

    def __init__(self, topic: Topic, settings: Settings) -> None:
        self._topic, self._group = topic, settings.kafka.group

    def write(self, rows: Sequence[Any]) -> None:
        self._topic.require()
        events = self._topic.events
        lost = events.random.randrange(len(rows)) if rows and events.chance(0.1) else None
        for number, row in enumerate(rows):
            value = derived.encode(self._group, row.series, row.time, row.value)
            self._topic.append(row.partition, derived.KEY, value)
            if number == lost:
                raise AwayError("Kafka's answer got lost")
