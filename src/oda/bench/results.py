"""Windows and anomalies as any engine writes them to Kafka, beside those of the simple implementation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from math import isclose
from typing import Any, NamedTuple

import msgspec
from kafka import TopicPartition
from kafka.admin import ConfigResource

from oda.audit.reference import Reference
from oda.core.reading import decode
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.reader import read_to_end, reader
from oda.kafka.records import Record, lean
from oda.settings import Settings

STALLED_SECONDS = 60.0


Rows = dict[tuple[str, int, float | None], tuple[float, ...]]
"""Windows by (series, start, None): count, mean, stddev. Anomalies by (series, time, value): mean, stddev."""


class Expected(NamedTuple):
    """What is right, of how many readings, and how many of them stand after the first result of their partition."""

    rows: Rows
    readings: int
    behind_first: int


class Found(NamedTuple):
    """What an engine wrote, and when the broker got the first of it and the last, seconds since 1970."""

    rows: Rows
    first: float
    last: float


class _Row(msgspec.Struct):
    """What all of them write; the rest is not looked at."""

    series: str
    mean: float
    stddev: float
    start: int = -1
    count: int = 0
    time: int = -1
    value: float | None = None


_decode = msgspec.json.Decoder(_Row).decode


def expect(settings: Settings) -> Expected:
    """Run the simple implementation over the readings topic. Raises UserError if no window ends in a partition."""
    rows: Rows = {}
    after = 0
    with reader(settings.kafka, [settings.kafka.readings], from_beginning=True) as consumer:
        references = {tp: Reference(settings) for tp in consumer.assignment()}
        for tp, record in _records(lean(consumer)):
            reading = decode(record.value, record.timestamp, settings.readings.max_ahead_ms, record.by_broker)
            references[tp].read(record.offset, reading)
        ends = consumer.end_offsets(consumer.assignment())
    for tp, reference in references.items():
        if not reference.windows:
            raise UserError(
                f"of the {sum(ends.values()):,} readings none ends a window in partition {tp.partition}: "
                "give more with --readings, of which an engine may get a tenth, or fewer --series"
            )
        rows |= {(row.series, row.start, None): (row.count, row.mean, row.stddev) for row in reference.windows}
        rows |= {(row.series, row.time, row.value): (row.mean, row.stddev) for row in reference.anomalies}
        after += ends[tp] - reference.windows[0].closed_at  # no anomaly is before the first window
    return Expected(rows, sum(ends.values()), after)


def stamp(settings: Settings, *more: str) -> None:
    """Let the broker note when it appended each result, of other topics, too: one clock for all engines."""
    changes = {"message.timestamp.type": "LogAppendTime"}
    with closing(client.admin(settings.kafka)) as admin:
        admin.alter_configs([ConfigResource("topic", topic, changes) for topic in (*_topics(settings), *more)])


def wait_for(settings: Settings, count: int, must_live: Callable[[], None]) -> None:
    """Return when there are `count` results; `must_live` is called all the time and raises if the engine has ended.

    Raises:
        UserError: nothing was added for a minute.
    """
    with reader(settings.kafka, _topics(settings), from_beginning=True) as consumer:
        held, since = -1, time.monotonic()
        while held < count:
            must_live()
            time.sleep(0.5)
            before, held = held, sum(consumer.end_offsets(consumer.assignment()).values())
            if held > before:
                since = time.monotonic()
            elif time.monotonic() > since + STALLED_SECONDS:
                raise UserError(f"it stopped at {held} of {count} results")


def collect(settings: Settings) -> Found:
    """Read what an engine wrote. Raises UserError when it wrote something twice."""
    rows: Rows = {}
    times = []
    with reader(settings.kafka, _topics(settings), from_beginning=True) as consumer:
        for _, record in _records(lean(consumer)):
            times.append(record.timestamp)
            row = _decode(record.value or b"")
            if row.value is None:
                rows[row.series, row.start, None] = row.count, row.mean, row.stddev
            else:
                rows[row.series, row.time, row.value] = row.mean, row.stddev
    if len(times) > len(rows):
        raise UserError(f"{len(times) - len(rows)} results were written twice")
    return Found(rows, min(times) / 1000, max(times) / 1000)


def differences(found: Rows, expected: Rows) -> str | None:
    """What is not equal, figures to nine digits; None if all is."""
    if found.keys() != expected.keys():
        return f"{len(found.keys() - expected.keys())} rows too many, {len(expected.keys() - found.keys())} missing"
    unequal = sum(not all(map(_is_close, found[key], expected[key])) for key in expected)
    return f"{unequal} of {len(expected)} rows have other figures" if unequal else None


def _is_close(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def _topics(settings: Settings) -> list[str]:
    return [settings.kafka.windows, settings.kafka.anomalies]


def _records(consumer: Any) -> Iterator[tuple[TopicPartition, Record]]:
    """All that the assigned partitions hold now."""
    for tp, records in read_to_end(consumer):
        yield from ((tp, record) for record in records)
