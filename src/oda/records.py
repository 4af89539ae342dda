"""Records of the readings topic, taken out of kafka-python's batches at a third of its own cost.

kafka-python fetches, checks, decompresses and keeps the positions as ever; but for each record it makes two
objects of seven and thirteen fields, headers included, and that is most of what a bare poll() costs. The spout
needs four. kafka-python has no official place to say so: `lean` replaces the class that unpacks what was fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint


class Record(msgspec.Struct, gc=False):
    """What the spout needs of one; `timestamp` in epoch ms."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def lean(consumer: KafkaConsumer) -> KafkaConsumer:
    """Let poll() of this consumer return `Record`s."""
    consumer._fetcher.PartitionRecords = _PartitionRecords
    return consumer


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    def _unpack_records(self, tp: TopicPartition, records: Any, *_: Any) -> Iterator[Record]:
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"batch at offset {batch.base_offset} of {tp} fails its CRC")
            if batch.magic < 2:
                yield from self._each(_old(batch))
                continue
            if not batch.is_control_batch:
                yield from self._each(_records(batch))
            self.next_fetch_offset = batch.next_offset  # compaction may have taken the last records
        self.drain()

    def _each(self, records: Iterator[Record]) -> Iterator[Record]:
        """Note the position at each, since a poll may end within a batch."""
        for record in records:
            self.next_fetch_offset = record.offset + 1
            yield record


def _records(batch: Any) -> Iterator[Record]:
    """Kafka's message format 2: https://kafka.apache.org/documentation/#record."""
    iter(batch)  # decompresses
    data, at = bytes(batch._buffer), batch._pos
    base, first = batch.base_offset, batch.first_timestamp
    appended = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
    for _ in range(batch.records_count):
        length, at = decode_varint(data, at)
        end = at + length  # beyond the headers, which nobody looks at
        later, at = decode_varint(data, at + 1)  # a byte of attributes that has no meaning yet
        delta, at = decode_varint(data, at)
        key, at = _bytes(data, at)
        value, at = _bytes(data, at)
        if not at < end <= len(data):
            raise CorruptRecordError(f"the record at offset {base + delta} has another length than it says")
        at = end
        yield Record(base + delta, first + later if appended is None else appended, key, value)


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = decode_varint(data, at)
    return (None, at) if size < 0 else (data[at : at + size], at + size)


def _old(batch: Any) -> Iterator[Record]:
    """Formats 0 and 1, which brokers before 0.11 wrote."""
    return (Record(old.offset, old.timestamp, old.key, old.value) for old in batch)
