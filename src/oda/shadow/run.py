"""The run of a shadow over the topic of readings: from a place on, to now, to a time, or until somebody ends it.

Reads only: it has no consumer group, commits nothing, and writes into its own stores alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from kafka import TopicPartition

from oda.core.rules.match import Rules
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.group import Group
from oda.kafka.problems import made_anew
from oda.kafka.reader import Polled, follow, read_to_end, reader
from oda.kafka.records import lean
from oda.settings import Kafka, Settings
from oda.shadow.compare import Outcome, Span, outcomes
from oda.shadow.partition import ShadowPartition
from oda.shadow.stores import Stores
from oda.stores.cassandra import CassandraStore

Place = int | datetime
"""An offset, the same in each partition; or when records came."""


class Log:
    """The topic of readings, from a place on.

    Attributes:
        id: Kafka's of the topic.
        spans: of each partition, what is to be read.
    """

    def __init__(self, consumer: Any, settings: Kafka, begin: Place, until: datetime | None) -> None:
        parts = sorted(consumer.assignment())
        beginnings, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        starts = dict.fromkeys(parts, begin) if isinstance(begin, int) else _came_at(consumer, begin, ends)
        stops = ends if until is None else _came_at(consumer, until, ends)
        self._consumer = lean(consumer)
        self._parts = {part.partition: part for part in parts}
        self.id: UUID | None = client.topic_id(consumer, settings.readings)
        self.spans = {}
        for part in parts:
            start = min(max(starts[part], beginnings[part]), ends[part])
            self.spans[part.partition] = Span(start, max(start, stops[part]))
            consumer.seek(part, start)

    def read(self, is_followed: bool) -> Polled:
        """What the spans have; if it is followed also what comes then, without end."""
        yield from read_to_end(self._consumer, {self._parts[number]: span.end for number, span in self.spans.items()})
        if is_followed:
            yield from follow(self._consumer)


def _came_at(consumer: Any, time: datetime, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The first records that did not come before."""
    found = consumer.offsets_for_times(dict.fromkeys(ends, int(time.timestamp() * 1000)))
    return {part: found[part].offset if found[part] else end for part, end in ends.items()}


@contextmanager
def opened(settings: Kafka, begin: Place, until: datetime | None) -> Iterator[Log]:
    """The log. Raises UserError when there is no such topic, or Kafka can't be reached."""
    with reader(settings, [settings.readings], from_beginning=True) as consumer:
        yield Log(consumer, settings, begin, until)


class Shadow:
    """One run.

    Attributes:
        spans: of each partition, what was judged and written.
        found: how many rows, by kind.
    """

    def __init__(self, settings: Settings, rules: Rules, spans: Mapping[int, Span], stores: Stores) -> None:
        self._partitions = {number: ShadowPartition(settings, rules, span.start) for number, span in spans.items()}
        self._stores = stores
        self.spans = {number: Span(span.start, span.start) for number, span in spans.items()}
        self.found: Counter[str] = Counter()

    @property
    def readings(self) -> int:
        """How many there were."""
        return sum(partition.readings for partition in self._partitions.values())

    def run(self, polled: Polled, progress: Callable[[int], None]) -> None:
        """Judge what was read, and write what was found; `progress` is told how many offsets are done at a time."""
        for part, records in polled:
            if not records:
                continue
            number, end = part.partition, records[-1].offset + 1
            rows = self._partitions[number].take(records)
            self._stores.write(number, rows)
            self.found.update({kind.name: len(some) for kind, some in rows.items()})
            progress(end - self.spans[number].end)
            self.spans[number] = self.spans[number]._replace(end=end)


def require_results(live: Settings, log_id: UUID | None) -> None:
    """Raises UserError when there are no live results, or they are of another log: nothing could be compared."""
    with closing(CassandraStore(live)) as store:
        was = store.log_id()
    if log_id is None:  # before Kafka 2.8
        return
    if was is None:
        raise UserError(
            f"keyspace {live.cassandra.keyspace} has no results of topic {live.kafka.readings} to compare with: "
            "has the topology run yet? Without it: `oda try FILE --rules RULES`"
        )
    if was != log_id:
        raise UserError(made_anew(live.kafka.readings, was, log_id))


def compared(shadow: Settings, live: Settings, spans: Mapping[int, Span]) -> dict[int, Outcome]:
    """Compare what both have of the spans. Raises UserError when a store can't be read."""
    with closing(CassandraStore(shadow)) as ours, closing(CassandraStore(live)) as theirs:
        return outcomes(ours, theirs, spans)


def as_far_as_live(settings: Kafka, spans: Mapping[int, Span]) -> dict[int, Span]:
    """Spans without what the live system has not committed."""
    with closing(Group(settings)) as group, client.explained(settings):
        committed = {part.partition: offset for part, offset in group.committed().items()}
    return {
        number: Span(span.start, max(span.start, min(span.end, committed[number]))) for number, span in spans.items()
    }
