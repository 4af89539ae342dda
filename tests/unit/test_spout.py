"""What the spout makes of records that are no readings: tuples that stay small, and originals that Kafka takes."""

import io
import logging
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from kafka import codec

from oda.core import clock
from oda.core.batch import Batch, ClockMark, RuleMark
from oda.core.kinds import Rejected
from oda.core.progress import Progress
from oda.core.rulemark import KEY, encode
from oda.core.rules.match import digest
from oda.core.text import from_text
from oda.world import WORLD, World
from spouts.readings import ReadingsSpout

MIB = 2**20
OPTIONS = {
    "oda.kafka.brokers": "a:1",
    "oda.cassandra.hosts": "a:1",
    "oda.elasticsearch.urls": "http://a:1",
    "topology.message.timeout.secs": 30,
}


class Record(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    by_broker: bool = True


def new_spout(source, world: World = WORLD) -> ReadingsSpout:
    """The only one, that reads from there."""
    spout = ReadingsSpout(input_stream=io.BytesIO(), output_stream=io.BytesIO())
    spout.logger = logging.getLogger("spout")
    spout.world, spout.open_source = world, lambda *_: source
    spout.initialize(OPTIONS, {"task->component": {"1": "readings"}, "componentid": "readings", "taskid": 1})
    return spout


def emitted(
    records: list[Record], end: int, rules: dict[int, str] | None = None
) -> tuple[list[Batch], list[list[Rejected]], Progress]:
    """The tuples of both streams, and what the spout notes, for records of partition 0 that end at `end`."""
    spout = new_spout(SimpleNamespace(position=lambda _: end))
    spout.rules = SimpleNamespace(read=(rules or {}).__getitem__)
    spout.partitions = {0: Progress(0, 30.0)}
    batches, rejected = [], []

    def emit(values, tup_id, stream):
        assert tup_id.split(":")[2] == stream
        assert {type(value) for value in values} == {int, str}, "what leaves a worker is numbers and text"
        if stream == "readings":
            batches.append(Batch.from_tuple(values))
        else:
            rejected.append(from_text(values[2], list[Rejected]))

    spout.emit = emit
    spout._emit_records(0, records)
    return batches, rejected, spout.partitions[0]


def test_large_malformed_messages_are_cut_into_batches_that_chain():
    batches, rejected, progress = emitted([Record(2 * n, b"x" * MIB) for n in range(50)], end=101)
    assert [(batch.start, batch.end) for batch in batches] == [*((2 * n, 2 * n + 2) for n in range(49)), (98, 101)]
    assert [[row.offset for row in rows] for rows in rejected] == [[2 * n] for n in range(50)]
    assert progress.unacked > 50 * 10_000, "the backlog's bound must count large messages as many readings"


def test_readings_and_small_malformed_messages_stay_one_batch():
    reading = b'{"series": "a", "time": "1970-01-01T00:00:00Z", "value": 1}'
    batches, rejected, progress = emitted([Record(n, reading if n % 2 else b"x") for n in range(4000)], end=4000)
    assert [(batch.start, batch.end, len(batch.readings.offsets)) for batch in batches] == [(0, 4000, 2000)]
    assert [len(rows) for rows in rejected] == [2000]
    assert progress.unacked == 4000


def test_batches_chain_across_offsets_that_hold_no_record():
    reading = b'{"series": "a", "time": 1732300000000, "value": 1}'
    batches, _, progress = emitted([Record(at, reading, timestamp=1732300000000) for at in (7, 9)], end=12)
    assert [(batch.start, batch.end, batch.readings.offsets.tolist()) for batch in batches] == [(0, 12, [7, 9])]
    assert progress.position == 12


def test_a_key_counts_as_well():
    batches, _, _ = emitted([Record(n, None, b"x" * MIB) for n in range(3)], end=3)
    assert len(batches) == 3


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 5 * MIB])
def test_of_what_is_rejected_so_much_is_copied_as_kafka_takes_for_sure(size):
    _, [[row]], _ = emitted([Record(0, b"x" * size, b"k" * size)], end=1)
    assert (row.key, row.value) == (b"k" * min(size, MIB), b"x" * min(size, MIB))
    assert ("not copied" in row.reason) == (size > MIB)


def test_a_clock_record_is_no_reading_and_is_not_rejected():
    (ours,), (others,) = clock.encode("oda", 7, {"a": 0}), clock.encode("another", 7, {"a": 0})
    records = [Record(0, ours, clock.KEY), Record(1, others, clock.KEY), Record(2, b"{}", clock.KEY)]
    (batch,), [[row]], _ = emitted(records, end=3)
    assert batch.marks == [ClockMark(0, 7, {"a": 0})]
    assert (row.offset, row.key) == (2, clock.KEY)
    assert row.reason.startswith("not a clock record")


def test_a_rule_record_brings_forward_what_is_in_the_topic_of_rules():
    text = "rules: []"
    ours, other = encode("oda", 7, digest(text)), encode("another", 7, digest(text))
    forged = [encode("oda", 8, digest(text)), encode("oda", 9, digest("")), encode("oda", 7, digest("rules:"))]
    values = [ours, other, ours, *forged, b"{}"]
    (batch,), [rows], _ = emitted([Record(n, value, KEY) for n, value in enumerate(values)], len(values), {7: text})
    assert batch.rules == [RuleMark(0, 7, text)]
    assert [row.offset for row in rows] == [3, 4, 5, 6]
    assert all(row.reason.startswith("there are no rules of version") for row in rows[:3])
    assert rows[3].reason.startswith("not a rule record")


def test_whatever_a_producer_compresses_with_can_be_read():
    assert all([codec.has_gzip(), codec.has_snappy(), codec.has_lz4(), codec.has_zstd()])


def test_a_log_that_is_another_one_stops_it_and_is_told_in_the_storm_ui():
    now = [1000.0]
    source = SimpleNamespace(changed=lambda: "it was made again")  # nothing else must be asked of it
    spout = new_spout(source, World(monotonic=lambda: now[0], sleep=lambda _: None))
    said = []
    spout.send_message = said.append
    for _ in range(150):
        spout.next_tuple()
        now[0] += 1
    assert said == [{"command": "error", "msg": "it was made again"}] * 3


def test_when_the_machines_clock_is_set_the_clock_of_a_run_goes_on_as_it_was():
    elapsed, wall = [500.0], [1_732_300_000.0]
    spout = new_spout(None, World(monotonic=lambda: elapsed[0], wall=lambda: wall[0]))
    assert spout._now() == 1_732_300_000_000
    elapsed[0] += 0.25
    wall[0] += 3_600
    assert spout._now() == 1_732_300_000_250


def test_partitions_that_are_taken_on_get_the_newest_rules_each_once():
    there = {0: 7, 2: 0}
    lost = [set(), set(), set(), {2}]  # to retention, by tick: a rule record was there, perhaps
    source = SimpleNamespace(
        new_partitions=lambda known: {number: start for number, start in there.items() if number not in known},
        overtaken=lambda: lost.pop(0),
        ends=dict,
    )
    spout, repeated = new_spout(source), []
    spout.rules = SimpleNamespace(repeat=lambda partitions: repeated.append(sorted(partitions)))
    spout._tick()
    there[3] = 0
    spout._tick()
    spout._tick()
    assert repeated == [[0, 2], [3]]
    spout._tick()
    assert repeated.pop() == [2]
    assert {number: progress.position for number, progress in spout.partitions.items()} == there
