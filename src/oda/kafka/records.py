"""Records, taken out of kafka-python's batches as it does it, or at a third of its own cost.

kafka-python fetches, checks, decompresses, keeps the positions and knows the aborted transactions as ever; but for
each record it makes two objects of seven and thirteen fields, headers included, and that is most of what a bare
poll() costs. The spout needs five. kafka-python has no official place to say so: `lean` replaces the class that
unpacks what was fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.util import decode_varint


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched, as kafka-python unpacks it: but that falls over a marker that compaction emptied."""

    def _contains_abort_marker(self, batch: Any) -> bool:
        return bool(batch.records_count) and bool(super()._contains_abort_marker(batch))


class Record(msgspec.Struct, gc=False):
    """What the spout needs of one; `timestamp` in epoch ms, the broker's if `by_broker`, else the producer's."""

    offset: int
    timestamp: int
    by_broker: bool
    key: bytes | None
    value: bytes | None


def lean(consumer: Any) -> Any:
    """Let poll() of this KafkaConsumer return `Record`s."""
    consumer._fetcher.PartitionRecords = _PartitionRecords
    return consumer


class _PartitionRecords(PartitionRecords):
    def _unpack_records(self, tp: TopicPartition, records: Any, *_: Any) -> Iterator[Record]:
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"batch at offset {batch.base_offset} of {tp} fails its CRC")
            if batch.magic < 2:
                yield from self._each(_old(batch))
                continue
            self.leader_epoch = batch.leader_epoch  # by it, brokers tell that the log lost its end
            if not (self._is_aborted(batch) or batch.is_control_batch):
                yield from self._each(_records(batch))
            self.next_fetch_offset = batch.next_offset  # compaction may have taken the last records
        self.drain()

    def _is_aborted(self, batch: Any) -> bool:
        """The broker lists the aborted transactions of a fetch; one ends at its producer's marker."""
        if self.isolation_level != IsolationLevel.READ_COMMITTED or not batch.has_producer_id():
            return False
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if self._contains_abort_marker(batch):
            self.aborted_producer_ids.discard(batch.producer_id)
        return bool(self._is_batch_aborted(batch))

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
        if appended is None:
            yield Record(base + delta, first + later, False, key, value)
        else:
            yield Record(base + delta, appended, True, key, value)


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = decode_varint(data, at)
    return (None, at) if size < 0 else (data[at : at + size], at + size)


def _old(batch: Any) -> Iterator[Record]:
    """Formats 0 and 1, which brokers before 0.11 wrote; of format 0 there is no timestamp."""
    for old in batch:
        timestamp = -1 if old.timestamp is None else old.timestamp
        yield Record(old.offset, timestamp, bool(old.timestamp_type), old.key, old.value)
