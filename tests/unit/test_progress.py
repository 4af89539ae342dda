"""What the spout may commit."""

import pytest

from oda.core.batch import Batch, Readings
from oda.core.kinds import Rejected
from oda.core.progress import Progress, Replay
from oda.core.reading import Reading

TIMEOUT = 30.0


def batch(start: int, end: int) -> Batch:
    readings = Readings.of(range(start, end), [Reading("a", 0, 0.0)] * (end - start))
    return Batch(0, 1, 0, start, end, 0, 0, readings)


def test_an_offset_is_committed_only_when_everything_before_it_is_acknowledged():
    progress = Progress(0, TIMEOUT)
    first, second = progress.add(batch(0, 2), []), progress.add(batch(2, 5), [])
    progress.ack(second, "readings")
    assert progress.committable == 0
    progress.ack(first, "readings")
    assert progress.committable == 5
    assert progress.unacked == 0


def test_a_batch_with_rejected_messages_waits_for_both_streams():
    progress = Progress(0, TIMEOUT)
    number = progress.add(batch(0, 2), [Rejected(1, "why", None, None)])
    progress.ack(number, "readings")
    assert progress.committable == 0
    progress.ack(number, "rejected")
    assert progress.committable == 2


def test_batches_chain():
    with pytest.raises(ValueError, match="starts at 1"):
        Progress(0, TIMEOUT).add(batch(1, 2), [])


def test_a_second_acknowledgement_changes_nothing():
    progress = Progress(0, TIMEOUT)
    number = progress.add(batch(0, 2), [])
    progress.ack(number, "readings")
    progress.ack(number, "readings")
    assert progress.unacked == 0
    assert progress.fail(number, "readings", -1, 0.0).batches == []


def test_rejected_messages_count_as_unacknowledged_too():
    progress = Progress(0, TIMEOUT)
    number = progress.add(batch(0, 2), [Rejected(1, "why", None, None)])
    assert progress.unacked == 3
    progress.ack(number, "readings")
    progress.ack(number, "rejected")
    assert progress.unacked == 0


def emitted(*streams: str) -> Progress:
    """Three batches, on these streams at second 0, with the numbers of their attempts 0, 1, 2."""
    progress = Progress(0, TIMEOUT)
    for number in range(3):
        progress.add(batch(number, number + 1), [Rejected(number, "why", None, None)] if "rejected" in streams else [])
        for stream in streams:
            progress.emit(number, stream, number, 0.0)
    return progress


def test_what_storm_has_given_up_is_emitted_again_and_nothing_else():
    assert emitted("readings").fail(1, "readings", 1, TIMEOUT) == Replay([1], timed_out=True)


def test_what_a_bolt_has_failed_lacks_something_before_it_so_all_are_emitted_again_in_order():
    progress = emitted("readings")
    assert progress.fail(1, "readings", 1, 2.0) == Replay([0, 1, 2], timed_out=False)
    progress.ack(0, "readings")
    assert progress.fail(2, "readings", 2, 2.0) == Replay([1, 2], timed_out=False)
    progress.ack(1, "readings")
    assert progress.fail(2, "readings", 2, 2.0) == Replay([2], timed_out=False), "a single one is no time-out either"


def test_an_attempt_that_fails_when_another_one_is_under_way_changes_nothing():
    progress = emitted("readings")
    progress.emit(1, "readings", 7, 2.0)
    assert progress.fail(1, "readings", 1, TIMEOUT).batches == []
    assert progress.fail(1, "readings", 7, 2.0 + TIMEOUT).batches == [1]


def test_rejected_messages_have_no_order():
    progress = emitted("readings", "rejected")
    assert progress.fail(1, "rejected", 1, 2.0).batches == [1]
    progress.ack(1, "readings")
    assert progress.fail(2, "readings", 2, 2.0).batches == [0, 2]
