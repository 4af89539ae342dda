"""The audit's pure parts: one pass over a log, and what a comparison finds."""

from __future__ import annotations

import doctest
from collections.abc import Iterable
from types import SimpleNamespace
from typing import NamedTuple, TypeVar
from uuid import UUID

import numpy as np
import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from oda.audit import audit
from oda.audit import compare as compare_module
from oda.audit.audit import Auditor
from oda.audit.compare import Archived, compare
from oda.audit.comparison import EXAMPLES, Comparison
from oda.audit.expected import Expected
from oda.audit.message import CLOCK_KEY
from oda.audit.sources import Log, Positions, is_elsewhere
from oda.core.clock import encode as encode_clock
from oda.core.kinds import ANOMALIES, WINDOWS, Document
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.settings import Settings
from oda.stores.archive import Packed, pack
from oda.stores.place import SLOT_MS

T = TypeVar("T")

SETTINGS = Settings.from_options(
    {
        "oda.kafka.brokers": "localhost:9092",
        "oda.cassandra.hosts": "localhost:9042",
        "oda.elasticsearch.urls": "http://localhost:9200",
        "oda.window.size_ms": 10,
    }
)


class Record(NamedTuple):
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    timestamp_type: int | None = 1


def log(*readings: tuple[int, str, int, float]) -> list[Record]:
    return [
        Record(offset, time, series.encode(), encode(Reading(series, time, value)))
        for offset, series, time, value in readings
    ]


def untracked(items: Iterable[T], what: str, total: int | None) -> Iterable[T]:  # noqa: ARG001
    return items


def clock(offset: int, position: int, through: dict[str, int], group: str = "oda") -> Record:
    (value,) = encode_clock(group, position, through)
    return Record(offset, 0, CLOCK_KEY, value)


def expect(records: list[Record], partition: int = 3) -> Expected:
    expected = Expected(SETTINGS, {})
    expected.read(partition, records)
    return expected


def test_the_docstrings_example() -> None:
    assert doctest.testmod(compare_module).failed == 0


# -- one pass over the log -------------------------------------------------------------------------


def test_rows_come_with_their_origin() -> None:
    expected = expect(log((0, "a", 1, 4.0), (1, "a", 2, 6.0), (2, "a", 10, 99.0)))
    assert expected.windows == [
        {
            "topic": "readings",
            "partition": 3,
            "series": "a",
            "start": 0,
            "end": 10,
            "count": 2,
            "mean": 5.0,
            "stddev": 1.0,
            "first_offset": 0,
            "last_offset": 1,
            "closed_at": 2,
            "closed_by": "data",
            "late": 0,
            "ahead": 0,
            "rules": 0,
        }
    ]
    (anomaly,) = expected.anomalies
    assert (anomaly["topic"], anomaly["partition"], anomaly["offset"], anomaly["value"]) == ("readings", 3, 2, 99.0)


def test_what_is_no_reading_is_expected_among_the_rejected_and_nowhere_else() -> None:
    records = [*log((0, "a", 1, 4.0)), Record(1, 5, b"k", b"{"), Record(2, 5, None, None)]
    expected = expect(records)
    assert expected.rejected == {
        (3, 1): {"key": b"k", "value": b"{", "has a reason": True},
        (3, 2): {"key": None, "value": b"", "has a reason": True},
    }
    assert expected.readings[3].offsets.tolist() == [0]


def test_the_clock_closes_at_its_record() -> None:
    expected = expect([*log((4, "a", 1, 1.0)), clock(6, 5, {"a": 0}), *log((7, "a", 9, 50.0))])
    (window,) = expected.windows
    assert (window["count"], window["closed_at"], window["closed_by"]) == (1, 6, "clock")
    assert expected.rejected == {}
    assert expected.readings[3].offsets.tolist() == [4, 7]


def test_another_groups_clock_means_nothing() -> None:
    expected = expect([*log((4, "a", 1, 1.0)), clock(6, 5, {"a": 0}, group="other")])
    assert (expected.windows, expected.rejected) == ([], {})


def test_what_is_neither_clock_record_nor_reading_is_rejected_whatever_its_key() -> None:
    reading = encode(Reading("a", 1, 1.0))
    records = [Record(offset, 1, CLOCK_KEY, value) for offset, value in enumerate((None, b"{}", reading))]
    assert expect(records).rejected.keys() == {(3, 0), (3, 1), (3, 2)}


def test_a_series_in_two_partitions_is_two_streams() -> None:
    expected = expect(log((0, "a", 1, 1.0), (1, "a", 10, 1.0)))
    expected.read(4, log((0, "a", 2, 2.0), (1, "a", 10, 1.0)))
    assert [(w["partition"], w["mean"]) for w in expected.windows] == [(3, 1.0), (4, 2.0)]


def test_series_in_several_partitions_are_named_in_order() -> None:
    expected = expect(log((0, "b", 1, 1.0), (1, "a", 1, 1.0), (2, "alone", 1, 1.0), (3, "b", 2, 1.0)))
    expected.read(4, log((0, "a", 2, 2.0), (1, "b", 2, 1.0), (2, "alone too", 1, 1.0)))
    expected.read(5, log((0, "a", 2, 2.0)))
    assert expected.scattered() == ["b", "a"]
    assert expect(log((0, "a", 1, 1.0), (1, "a", 2, 1.0))).scattered() == []


def test_a_producers_clock_that_is_wrong_rejects_nothing() -> None:
    reading = encode(Reading("a", 1_700_000_000_000, 1.0))
    stamps: list[tuple[int | None, int | None]] = [(-1, 0), (0, 0), (1_700_000_000, 0), (None, None), (0, 1)]
    expected = expect([Record(n, stamp, b"a", reading, kind) for n, (stamp, kind) in enumerate(stamps)])
    assert expected.rejected.keys() == {(3, 4)}


# -- comparing rows --------------------------------------------------------------------------------


def result_of(expected: dict[str, Document], found: list[tuple[str, Document]]) -> Comparison:
    result = Comparison("Kafka", "windows")
    compare(result, expected, found)
    return result


def counts(result: Comparison) -> tuple[int, int, int, int, int]:
    return result.expected, result.found, result.missing, result.extra, result.different


ROW: Document = {"mean": 0.1 + 0.2, "count": 2}


def test_equal_rows_are_right_also_twice() -> None:
    assert counts(result_of({"x": ROW}, [("x", dict(ROW)), ("x", dict(ROW))])) == (1, 1, 0, 0, 0)


def test_missing_extra_and_different_rows_are_found() -> None:
    result = result_of({"x": ROW, "y": ROW}, [("y", {**ROW, "mean": 0.3}), ("z", ROW)])
    assert counts(result) == (2, 2, 1, 1, 1)
    assert result.faults == 3
    assert result.examples["missing"] == [f"x: {ROW}"]
    assert result.examples["extra"] == [f"z: {ROW}"]
    assert result.examples["different"] == ["y: mean is 0.3, expected 0.30000000000000004"]


@pytest.mark.parametrize("row", [{"mean": 0.1 + 0.2}, {**ROW, "more": None}])
def test_a_row_must_have_exactly_its_fields(row: Document) -> None:
    assert result_of({"x": ROW}, [("x", row)]).different == 1


def test_a_field_that_was_added_may_be_missing_in_a_row_of_before_but_must_be_right_if_it_is_there() -> None:
    expected = {"x": {**ROW, "median": 0.5}}

    def different(row: Document, later: frozenset[str]) -> int:
        result = Comparison("Kafka", "windows")
        compare(result, expected, [("x", row)], later)
        return result.different

    median = frozenset({"median"})
    assert [different(row, median) for row in (ROW, {**ROW, "median": 0.5}, {**ROW, "median": 0.25})] == [0, 0, 1]
    assert different({"median": 0.5, "count": 2}, median) == 1
    assert different(ROW, frozenset()) == 1


def test_one_wrong_copy_among_right_ones_is_found_once() -> None:
    wrong = {**ROW, "count": 3}
    result = result_of({"x": ROW}, [("x", ROW), ("x", wrong), ("x", wrong)])
    assert counts(result) == (1, 1, 0, 0, 1)


def test_few_examples_are_kept_of_many_faults() -> None:
    result = result_of({str(number): ROW for number in range(100)}, [])
    assert (result.missing, len(result.examples["missing"])) == (100, EXAMPLES)


# -- comparing stores ------------------------------------------------------------------------------

LOG = log((0, "a", 1, 4.0), (1, "a", 2, 6.0), (2, "a", 10, 99.0), (3, "b", SLOT_MS, 1.0), (4, "b", SLOT_MS + 1, 2.0))


def archive(start: int = 0, end: int = 5) -> list[Packed]:
    """Rows of the table `readings`, as one batch with the records of `LOG[start:end]` leaves them."""
    columns = [
        ("a", 0, 1, 4.0),
        ("a", 1, 2, 6.0),
        ("a", 2, 10, 99.0),
        ("b", 3, SLOT_MS, 1.0),
        ("b", 4, SLOT_MS + 1, 2.0),
    ]
    names, offsets, times, values = zip(*columns[start:end], strict=True)
    series = np.array(["ab".index(name) for name in names], np.int32)
    rows = pack(["a", "b"], series, np.array(offsets, np.int64), np.array(times, np.int64), np.array(values))
    return [Packed(**row._asdict(), partition=3, is_misplaced=False) for row in rows]


def audit_archive(rows: list[Packed], committed: int = 5) -> Comparison:
    return Auditor(expect(LOG[:committed]), {3: committed}, untracked).archive("Cassandra", rows)


def test_the_archive_is_right_also_when_batches_were_cut_anew() -> None:
    assert counts(audit_archive(archive())) == (5, 5, 0, 0, 0)
    assert counts(audit_archive([*archive(0, 4), *archive(1, 3), *archive(2, 5)])) == (5, 5, 0, 0, 0)


def test_what_the_archive_holds_beyond_the_audited_part_is_left_out() -> None:
    assert counts(audit_archive(archive(), committed=2)) == (2, 2, 0, 0, 0)


def test_a_reading_that_the_archive_lacks_is_missing() -> None:
    result = audit_archive(archive(1, 5))
    assert counts(result) == (5, 4, 1, 0, 0)
    assert result.examples["missing"] == ["3:0: a at 1 is 4.0, in slot 0"]


def test_a_reading_that_the_log_lacks_is_extra() -> None:
    rows = archive()
    rows[-1] = rows[-1]._replace(partition=9)
    result = audit_archive(rows)
    assert counts(result) == (5, 5, 2, 2, 0)
    assert result.examples["extra"] == ["9:3: b at 600000 is 1.0, in slot 1", "9:4: b at 600001 is 2.0, in slot 1"]


@pytest.mark.parametrize(("field", "value"), [("series", "b"), ("series", "new"), ("slot", 7)])
def test_a_row_of_another_series_or_slot_is_different(field: str, value: object) -> None:
    rows = archive()
    rows[0] = rows[0]._replace(**{field: value})
    assert counts(audit_archive(rows)) == (5, 5, 0, 0, 3)


def test_a_wrong_value_is_different_even_beside_a_right_copy() -> None:
    wrong = archive(0, 1)
    wrong[0] = wrong[0]._replace(data=wrong[0].data[:-8] + bytes(8))
    assert counts(audit_archive(archive() + wrong)) == (5, 5, 0, 0, 1)


def test_a_damaged_row_is_different_and_its_readings_are_missing() -> None:
    rows = archive()
    rows[0] = rows[0]._replace(data=rows[0].data[:-1])
    rows[1] = rows[1]._replace(last_offset=rows[1].last_offset + 1)
    result = audit_archive(rows)
    assert counts(result) == (5, 0, 5, 0, 2)
    assert "is damaged" in result.examples["different"][0]


def test_a_row_in_another_bucket_is_not_there_for_a_reader() -> None:
    rows = archive()
    rows[0] = rows[0]._replace(is_misplaced=True)
    result = audit_archive(rows)
    assert counts(result) == (5, 2, 3, 1, 0)
    assert result.examples["extra"] == ["3:0: the row of series a is not in its bucket"]


def test_results_are_compared_by_their_place() -> None:
    expected = expect(LOG)
    auditor = Auditor(expected, {3: 5}, untracked)
    (row,) = expected.windows
    right = auditor.results(WINDOWS, "Elasticsearch", [("readings:3:0", row)])
    assert counts(right) == (1, 1, 0, 0, 0)
    elsewhere = auditor.results(WINDOWS, "Cassandra", [("bucket 7, slot 1: readings:3:0", row)])
    assert counts(elsewhere) == (1, 1, 1, 1, 0)
    unseen = auditor.results(ANOMALIES, "Kafka", [])
    assert counts(unseen) == (1, 0, 1, 0, 0)


def test_rejected_messages_are_compared_in_the_audited_part() -> None:
    expected = expect([Record(0, 5, b"k", b"{"), Record(1, 5, b"k", b"{")])
    auditor = Auditor(expected, {3: 2}, untracked)
    good: Document = {"key": b"k", "value": b"{", "has a reason": True, "cut": False}
    unexplained = {**good, "has a reason": False}
    result = auditor.rejected(
        "Kafka", [((3, 0), good), ((3, 0), good), ((3, 1), unexplained), ((3, 2), good), ((-1, 7), good)]
    )
    assert counts(result) == (2, 3, 0, 1, 1)


def test_a_rejected_message_may_be_cut_if_it_says_so_and_is_a_beginning() -> None:
    expected = expect([Record(0, 5, b"key", b"{12"), Record(1, 5, None, b"{12")])
    auditor = Auditor(expected, {3: 2}, untracked)

    def found(key: bytes | None, value: bytes | None, cut: bool = True) -> Document:
        return {"key": key, "value": value, "has a reason": True, "cut": cut}

    right = [found(b"k", b""), found(b"key", b"{1"), found(b"key", b"{12")]
    assert counts(auditor.rejected("Kafka", [*(((3, 0), row) for row in right), ((3, 1), found(None, b"{"))])) == (
        2,
        2,
        0,
        0,
        0,
    )
    wrong = [found(b"k", b"", cut=False), found(b"x", b"{"), found(b"k", b"1"), found(None, b"{"), found(b"k", None)]
    for row in wrong:
        assert auditor.rejected("Kafka", [((3, 0), row), ((3, 1), found(None, b"{"))]).different == 1


@pytest.mark.parametrize(
    ("row", "beyond"),
    [
        ({"closed_at": 4, "closed_by": "data"}, False),
        ({"closed_at": 5, "closed_by": "data"}, True),
        ({"closed_at": 4, "closed_by": "clock"}, False),
        ({"closed_at": 5, "closed_by": "clock"}, True),
        ({"closed_at": 6, "closed_by": "data", "partition": 8}, False),
        ({"closed_at": "x", "closed_by": "data"}, False),
        ({}, False),
    ],
)
def test_windows_beyond_the_committed_position(row: Document, beyond: bool) -> None:
    assert is_elsewhere({"partition": 3, **row}, WINDOWS, {3: 5}, {}) is beyond


def test_anomalies_beyond_the_committed_position() -> None:
    assert is_elsewhere({"partition": 3, "found_at": 5}, ANOMALIES, {3: 5}, {})
    assert not is_elsewhere({"partition": 3, "found_at": 4}, ANOMALIES, {3: 5}, {})


def test_how_far_behind() -> None:
    assert Positions({0: 5, 1: 9}, {}, {}).behind({0: 7, 1: 8, 2: 3}) == 5


def test_no_archived_readings_join_to_none() -> None:
    assert len(Archived.join([]).offsets) == 0


class Broker:
    """A topic of two partitions, in the places of Log's two clients."""

    def __init__(self, committed: list[OffsetAndMetadata | None], ends: list[int], readable: list[int]) -> None:
        self._committed, self._ends, self._readable = committed, ends, readable

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0, 1}

    def committed(self, part: TopicPartition, metadata: bool) -> OffsetAndMetadata | None:
        assert metadata
        return self._committed[part.partition]

    def list_partition_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, SimpleNamespace]:
        return {part: SimpleNamespace(offset=self._ends[part.partition]) for part in parts}

    def end_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: self._readable[part.partition] for part in parts}


def positions(*committed: OffsetAndMetadata | None, ends: list[int], readable: list[int] | None = None) -> Positions:
    found = object.__new__(Log)
    found._settings = SETTINGS.kafka
    found._admin = found._consumer = Broker(list(committed), ends, readable or ends)
    return found.positions()


def at(offset: int, note: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, note, 3)


def test_what_an_open_transaction_holds_up_is_not_done() -> None:
    found = positions(at(5), None, ends=[5, 9], readable=[5, 7])
    assert found == Positions({0: 5, 1: 0}, {0: 5, 1: 9}, {1: 7})
    assert found.behind(found.ends) == 9


@pytest.mark.parametrize("end", [0, 40, 999])
def test_a_log_that_ends_before_what_is_committed_is_told(end: int) -> None:
    with pytest.raises(UserError, match=r"partition 1 lost its end: it was read up to offset 1000.*docs/upgrades\.md"):
        positions(at(5), at(1000), ends=[5, end])


def test_what_the_spout_noted_of_a_lost_end_is_told_also_when_the_log_has_grown_again() -> None:
    with pytest.raises(UserError, match="it lost its end"):
        positions(at(5), at(1000, "it lost its end"), ends=[5, 2000])


def test_a_topic_that_was_made_anew_is_not_compared_with_the_results_of_the_old_one() -> None:
    old, new = UUID(int=1), UUID(int=2)

    def look(results: UUID | None, topic: UUID) -> None:
        audit._require_same_log(SETTINGS, SimpleNamespace(id=lambda: topic), SimpleNamespace(log_id=lambda: results))

    look(old, old)
    look(None, new)
    with pytest.raises(UserError, match=f"its id was {old}, it is {new}.*docs/upgrades"):
        look(old, new)
