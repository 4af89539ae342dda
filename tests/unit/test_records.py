"""What the lean consumer takes out of a fetch is what kafka-python takes out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from oda.records import _PartitionRecords

HERE = TopicPartition("readings", 0)
data = st.one_of(st.none(), st.binary(max_size=10), st.sampled_from([63, 64, 8191, 8192, 70_000]).map(bytes))
headers = st.lists(st.tuples(st.text(max_size=3), st.one_of(st.none(), st.binary(max_size=100))), max_size=2)
record = st.tuples(st.integers(0, 3), st.integers(0, 2**42), data, data, headers)
batch = st.tuples(st.sampled_from([0, 1, 2, 2, 2]), st.integers(0, 4), st.lists(record, min_size=1, max_size=5))


def written(batches) -> bytes:
    """Record batches with gaps, as compaction leaves them."""
    parts, offset = [], 0
    for magic, compression, records in batches:
        compression = min(compression, 2) if magic < 2 else compression
        builder = MemoryRecordsBuilder(magic, compression, 2**30, offset)
        for gap, timestamp, key, value, extra in records:
            builder.skip(gap)
            offset += gap + 1
            builder.append(timestamp if magic else None, key, value, extra if magic == 2 else [])
        builder.close()
        parts.append(bytes(builder.buffer()))
    return b"".join(parts)


def taken(kind, log: bytes, start: int, step: int) -> list[tuple]:
    """Records and positions, `step` at a time, from offset `start` on."""
    drained = []
    fetch = kind(start, HERE, MemoryRecords(log), on_drain=drained.append)
    found = []
    while fetch:
        part = fetch.take(step)
        found.append(([(one.offset, one.timestamp, one.key, one.value) for one in part], fetch.next_fetch_offset))
    assert len(drained) == 1
    return found


@given(st.lists(batch, min_size=1, max_size=3), st.integers(0, 6), st.integers(1, 7))
def test_the_same_as_kafka_python(batches, start, step):
    log = written(batches)
    assert taken(_PartitionRecords, log, start, step) == taken(Fetcher.PartitionRecords, log, start, step)


def test_the_brokers_time_counts_where_the_topic_says_so():
    log = bytearray(written([(2, 0, [(0, 1000, None, b"a", []), (0, 2000, None, b"b", [])])]))
    log[22] |= 0x08  # attributes: timestamp type
    assert [record[1] for records, _ in taken_unchecked(log) for record in records] == [2000, 2000]


def test_control_batches_are_no_records_but_positions():
    log = bytearray(written([(2, 0, [(0, 1000, b"\0\0\0\1", b"", [])])]))
    log[22] |= 0x20
    assert taken_unchecked(log) == [([], 1)]


def taken_unchecked(log: bytearray) -> list[tuple]:
    """The CRC is that of the batch before it was changed."""
    fetch = _PartitionRecords(0, HERE, MemoryRecords(bytes(log)), check_crcs=False)
    found = []
    while fetch:
        part = fetch.take(1)
        found.append(([(one.offset, one.timestamp, one.key, one.value) for one in part], fetch.next_fetch_offset))
    return found


def test_a_flipped_bit_is_found():
    log = bytearray(written([(2, 0, [(0, 1000, None, b"a", [])])]))
    log[-1] ^= 1
    with pytest.raises(CorruptRecordError, match="CRC"):
        _PartitionRecords(0, HERE, MemoryRecords(bytes(log))).take(1)


def test_a_record_that_is_not_as_long_as_it_says_is_found():
    log = bytearray(written([(2, 0, [(0, 1000, None, b"abcdef", [])])]))
    log[61] -= 4  # its length, right after the batch's header of 61 bytes: a varint of 2 per byte
    with pytest.raises(CorruptRecordError, match="another length"):
        _PartitionRecords(0, HERE, MemoryRecords(bytes(log)), check_crcs=False).take(1)
