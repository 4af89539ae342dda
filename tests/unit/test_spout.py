"""What the spout makes of records that are no readings: tuples that stay small, and originals that Kafka takes."""

import base64
import logging
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from kafka import codec

from oda.core.batch import Batch
from oda.core.progress import Progress
from oda.settings import Settings
from spouts.readings import ReadingsSpout

MIB = 2**20


class Record(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0


def emitted(records: list[Record], end: int) -> tuple[list[Batch], list[list], Progress]:
    """The tuples of both streams, and what the spout notes, for records of partition 0 that end at `end`."""
    spout = object.__new__(ReadingsSpout)
    spout.settings = Settings.from_options(
        {"oda.kafka.brokers": "a:1", "oda.cassandra.hosts": "a:1", "oda.elasticsearch.urls": "http://a:1"}
    )
    spout.source = SimpleNamespace(position=lambda _: end, report_gap=logging.error)
    spout.partitions = {0: Progress(0)}
    spout.epoch, spout.seq = 1, 0
    batches, rejected = [], []

    def emit(values, tup_id, stream):
        assert tup_id.endswith(stream)
        (batches.append(Batch.from_tuple(values)) if stream == "readings" else rejected.append(values[1]))

    spout.emit = emit
    spout._emit_records(0, records)
    return batches, rejected, spout.partitions[0]


def test_large_malformed_messages_are_cut_into_batches_that_chain():
    batches, rejected, progress = emitted([Record(2 * n, b"x" * MIB) for n in range(50)], end=101)
    assert [(batch.start, batch.end) for batch in batches] == [*((2 * n, 2 * n + 2) for n in range(49)), (98, 101)]
    assert [[row[0] for row in rows] for rows in rejected] == [[2 * n] for n in range(50)]
    assert progress.unacked > 50 * 10_000, "the backlog's bound must count large messages as many readings"


def test_readings_and_small_malformed_messages_stay_one_batch():
    reading = b'{"series": "a", "time": "1970-01-01T00:00:00Z", "value": 1}'
    batches, rejected, progress = emitted([Record(n, reading if n % 2 else b"x") for n in range(4000)], end=4000)
    assert [(batch.start, batch.end, len(batch.readings.offsets)) for batch in batches] == [(0, 4000, 2000)]
    assert [len(rows) for rows in rejected] == [2000]
    assert progress.unacked == 4000


def test_a_key_counts_as_well():
    batches, _, _ = emitted([Record(n, None, b"x" * MIB) for n in range(3)], end=3)
    assert len(batches) == 3


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 5 * MIB])
def test_of_what_is_rejected_so_much_is_copied_as_kafka_takes_for_sure(size):
    _, [[[_, reason, key, value]]], _ = emitted([Record(0, b"x" * size, b"k" * size)], end=1)
    assert base64.b64decode(key) == b"k" * min(size, MIB)
    assert base64.b64decode(value) == b"x" * min(size, MIB)
    assert ("not copied" in reason) == (size > MIB)


def test_whatever_a_producer_compresses_with_can_be_read():
    assert all([codec.has_gzip(), codec.has_snappy(), codec.has_lz4(), codec.has_zstd()])
