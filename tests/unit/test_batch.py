"""Joining batches: what chains becomes one, in log order; what does not stays apart."""

from __future__ import annotations

from oda.core.batch import Batch, ClockMark, Readings, joined
from oda.core.reading import Reading


def batch(partition: int, start: int, *names: str) -> Batch:
    rows = [Reading(name, 1000 + start + number, float(start + number)) for number, name in enumerate(names)]
    end = start + len(names)
    return Batch(partition, 1, start, start, end, 0, 100 + start, Readings.of(range(start, end), rows))


def rows(found: Batch) -> list[tuple[str, int, int, float]]:
    names, series, *columns = found.readings
    return list(zip((names[code] for code in series), *(column.tolist() for column in columns), strict=True))


def test_batches_that_chain_become_one_with_the_newest_clock() -> None:
    first, other, second = batch(0, 5, "a", "b", "a"), batch(1, 0, "c"), batch(0, 8, "b", "d")
    one, two = joined([first, other, second])
    assert (one.partition, one.start, one.end, one.clock) == (0, 5, 10, second.clock)
    assert rows(one) == rows(first) + rows(second)
    assert rows(two) == rows(other)


def test_a_gap_and_a_replay_end_a_run() -> None:
    first, behind_a_gap = batch(0, 0, "a"), batch(0, 2, "a")
    assert [(one.start, one.end) for one in joined([first, behind_a_gap, first])] == [(0, 1), (2, 3), (0, 1)]


def test_batches_without_readings_do_no_harm() -> None:
    empty = batch(0, 1)._replace(end=2)
    (one,) = joined([batch(0, 0, "a"), empty, batch(0, 2, "b")])
    assert [row[0] for row in rows(one)] == ["a", "b"]
    (alone,) = joined([empty])
    assert rows(alone) == []


def test_a_tuple_holds_numbers_and_text_only_which_any_worker_can_pass_on() -> None:
    marks = [ClockMark(1, 0, {"a": 2000})]
    sent = batch(0, 0, "a", "b\n")._replace(marks=marks)
    values = sent.to_tuple()
    assert {type(value) for value in values} == {int, str}
    received = Batch.from_tuple(values)
    assert received[:7] == sent[:7]
    assert (rows(received), received.marks) == (rows(sent), marks)


def test_each_series_has_its_readings_and_no_series_has_none() -> None:
    names = batch(0, 5, "a", "b", "a")
    assert [rows.tolist() for rows in names.readings.rows()] == [[0, 2], [1]]
    assert Readings.of([], []).rows() == []
