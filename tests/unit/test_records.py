"""What the lean consumer takes out of a fetch is what kafka-python takes out of it, and what was committed."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.default_records import DefaultRecordBase as Format
from kafka.record.util import calc_crc32c

from oda.kafka.records import PartitionRecords, _PartitionRecords

HERE = TopicPartition("readings", 0)
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"
"""Keys of the markers at a transaction's end."""

data = st.one_of(st.none(), st.sampled_from([0, 1, 10, 63, 64, 8191, 8192, 70_000]).map(bytes))
headers = st.sampled_from([[], [("", None)], [("é", b"x" * 100), ("a", b"")]])
record = st.tuples(st.integers(0, 3), st.integers(-1, 2**42), data, data, headers)
records = st.lists(record, min_size=1, max_size=5)


class Step(NamedTuple):
    """A batch of a producer, perhaps the last one of its transaction; what compaction left of it."""

    magic: int
    codec: int
    by_broker: bool
    producer: int
    transactional: bool
    records: list[tuple]
    left: str
    end: str


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 1, 2, 2, 2, 2]),
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from([-1, 7, 7, 8]),
        st.sampled_from([True, True, False]),
        records,
        st.sampled_from(["all", "all", "all", "an empty batch", "nothing"]),
        st.sampled_from(["", "committed", "aborted", "aborted and cleaned"]),
    ),
    min_size=1,
    max_size=6,
)


def batch(offset: int, step: Step, transactional: bool = False, control: bool = False, empty: bool = False) -> bytes:
    """A batch as the broker has it. `offset` is its first one, before any gap that compaction left."""
    codec = min(step.codec, 2) if step.magic < 2 else step.codec
    producer = {"producer_id": step.producer, "producer_epoch": 0, "base_sequence": 0} if step.producer >= 0 else {}
    builder = MemoryRecordsBuilder(
        step.magic, codec, 2**30, offset, **(producer | {"transactional": transactional} if step.magic == 2 else {})
    )
    for gap, timestamp, key, value, extra in step.records:
        builder.skip(gap)
        builder.append(timestamp if step.magic else None, key, value, extra if step.magic == 2 else [])
    builder.close()
    found = bytearray(builder.buffer())
    if step.magic < 2:
        return bytes(found)
    if empty:
        del found[Format.HEADER_STRUCT.size :]
    fields = list(Format.HEADER_STRUCT.unpack_from(found))
    fields[1] = len(found) - Format.AFTER_LEN_OFFSET
    fields[2] = 5  # the leader's epoch
    fields[5] = (0 if empty else fields[5]) | Format.TIMESTAMP_TYPE_MASK * step.by_broker
    fields[5] |= Format.TRANSACTIONAL_MASK * transactional | Format.CONTROL_MASK * control
    fields[12] = 0 if empty else fields[12]
    Format.HEADER_STRUCT.pack_into(found, 0, *fields)
    struct.pack_into(">I", found, Format.CRC_OFFSET, calc_crc32c(memoryview(found)[Format.ATTRIBUTES_OFFSET :]))
    return bytes(found)


def marker(offset: int, producer: int, key: bytes, empty: bool = False) -> bytes:
    """What the broker writes at a transaction's end."""
    step = Step(2, 0, False, producer, True, [(0, 1000, key, b"", [])], "all", "")
    return batch(offset, step, transactional=True, control=True, empty=empty)


class Aborted(NamedTuple):
    """As the broker lists them with a fetch."""

    producer_id: int
    first_offset: int


class Log:
    """Batches that producers wrote in turns, what compaction left of them, and what is right to read of it."""

    def __init__(self, steps: list[Step]) -> None:
        self.parts: list[bytes] = []
        self.end = 0
        self.committed: list[tuple] = []
        self.aborted: list[Aborted] = []
        self._open: dict[int, tuple[int, list[tuple], list[int]]] = {}  # first offset, records, parts
        for step in steps:
            self._write(step)
            if step.end and step.producer in self._open:
                self._finish(step.producer, step.end)
        for producer in list(self._open):
            self._finish(producer, "aborted")
        self.committed.sort()

    def _write(self, step: Step) -> None:
        transactional = step.magic == 2 and step.transactional and step.producer >= 0
        first, found = self.end, []
        stamps = [timestamp for _, timestamp, *_ in step.records]
        for gap, timestamp, key, value, _ in step.records:
            by_broker = step.magic == 2 and step.by_broker
            stamp = -1 if not step.magic else max(stamps) if by_broker else timestamp
            found.append((self.end + gap, stamp, by_broker, key, value))
            self.end += gap + 1
        if step.left != "nothing":
            empty = step.left == "an empty batch" and step.magic == 2
            self.parts.append(batch(first, step, transactional, empty=empty))
        kept = found if step.left == "all" or (step.magic < 2 and step.left != "nothing") else []
        if transactional:
            _, ours, parts = self._open.setdefault(step.producer, (first, [], []))
            ours += kept
            parts += [len(self.parts) - 1] if step.left != "nothing" else []
        else:
            self.committed += kept

    def _finish(self, producer: int, end: str) -> None:
        first, found, parts = self._open.pop(producer)
        cleaned = end == "aborted and cleaned"
        if end == "committed":
            self.committed += found
        elif cleaned:
            for number in parts:
                self.parts[number] = b""
        else:
            self.aborted.append(Aborted(producer, first))
        self.parts.append(marker(self.end, producer, COMMIT if end == "committed" else ABORT, empty=cleaned))
        self.end += 1


def taken(kind, log: Log, start: int, step: int, isolation=IsolationLevel.READ_COMMITTED) -> list[tuple]:
    """Records and positions, `step` at a time, from offset `start` on."""
    drained = []
    whole = MemoryRecords(b"".join(log.parts))
    fetch = kind(
        start,
        HERE,
        whole,
        isolation_level=isolation,
        aborted_transactions=log.aborted if isolation else None,
        on_drain=drained.append,
    )
    found = []
    while fetch:
        part = fetch.take(step)
        found.append(([plain(one) for one in part], fetch.next_fetch_offset, fetch.leader_epoch))
    assert len(drained) == 1
    return found


def plain(one) -> tuple:
    """A record of either kind; kafka-python has None where a format has no such field."""
    by_broker = one.by_broker if hasattr(one, "by_broker") else bool(one.timestamp_type)
    return one.offset, -1 if one.timestamp is None else one.timestamp, by_broker, one.key, one.value


@given(steps, st.integers(0, 6), st.integers(1, 7), st.sampled_from(list(IsolationLevel)))
def test_the_same_as_kafka_python(steps, start, step, isolation):
    log = Log(steps)
    assert taken(_PartitionRecords, log, start, step, isolation) == taken(PartitionRecords, log, start, step, isolation)


@given(steps, st.integers(1, 7))
def test_what_was_committed_and_nothing_else(steps, step):
    log = Log(steps)
    for kind in (_PartitionRecords, PartitionRecords):
        found = taken(kind, log, 0, step)
        assert [one for part, *_ in found for one in part] == log.committed
        if log.parts and steps[-1].magic == 2 and steps[-1].left != "nothing":
            assert found[-1][1] == log.end, "the position must pass what is not read"


def one(value: bytes, producer: int = -1, end: str = "", left: str = "all") -> Step:
    return Step(2, 0, False, producer, producer >= 0, [(0, 1000, None, value, [])], left, end)


def test_transactions_that_interleave():
    steps = [one(b"a", 7), one(b"b", 8), one(b"c"), one(b"d", 7, "aborted"), one(b"e", 8, "committed")]
    log = Log([*steps, one(b"f", 7, "committed"), one(b"g", 8, "aborted")])
    assert log.aborted == [Aborted(7, 0), Aborted(8, 9)]
    found = taken(_PartitionRecords, log, 0, 100)
    assert [row[4] for part, *_ in found for row in part] == [b"b", b"c", b"e", b"f"]
    assert found[-1][1] == 11
    every = taken(_PartitionRecords, log, 0, 100, IsolationLevel.READ_UNCOMMITTED)
    assert [row[4] for part, *_ in every for row in part] == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]


def test_a_fetch_that_holds_nothing_but_what_was_aborted_moves_the_position():
    log = Log([one(b"a", 7), one(b"b", 7, "aborted")])
    assert taken(_PartitionRecords, log, 0, 100) == [([], 3, 5)]


@pytest.mark.parametrize("kind", [_PartitionRecords, PartitionRecords])
def test_a_marker_that_compaction_emptied_ends_nothing(kind):
    log = Log([one(b"a", 7, "aborted and cleaned"), one(b"b", 7, "committed"), one(b"c", left="an empty batch")])
    found = taken(kind, log, 0, 100)
    assert ([row[4] for part, *_ in found for row in part], found[-1][1]) == ([b"b"], 5)


def test_the_brokers_time_counts_where_the_topic_says_so():
    step = Step(2, 0, True, -1, False, [(0, 1000, None, b"a", []), (0, 2000, None, b"b", [])], "all", "")
    assert [row[1:3] for part, *_ in taken(_PartitionRecords, Log([step]), 0, 9) for row in part] == [(2000, True)] * 2


def test_a_flipped_bit_is_found():
    log = bytearray(b"".join(Log([one(b"a")]).parts))
    log[-1] ^= 1
    with pytest.raises(CorruptRecordError, match="CRC"):
        _PartitionRecords(0, HERE, MemoryRecords(bytes(log))).take(1)


def test_a_record_that_is_not_as_long_as_it_says_is_found():
    log = bytearray(b"".join(Log([one(b"abcdef")]).parts))
    log[Format.HEADER_STRUCT.size] -= 4  # its length, right after the batch's header: a varint of 2 per byte
    with pytest.raises(CorruptRecordError, match="another length"):
        _PartitionRecords(0, HERE, MemoryRecords(bytes(log)), check_crcs=False).take(1)
