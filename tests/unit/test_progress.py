"""What the spout may commit."""

import pytest

from oda.core.batch import Batch, Readings
from oda.core.kinds import Rejected
from oda.core.progress import Progress
from oda.core.reading import Reading


def batch(start: int, end: int) -> Batch:
    readings = Readings.of(range(start, end), [Reading("a", 0, 0.0)] * (end - start))
    return Batch(0, 1, 0, start, end, 0, 0, readings)


def test_an_offset_is_committed_only_when_everything_before_it_is_acknowledged():
    progress = Progress(0)
    first, second = progress.add(batch(0, 2), []), progress.add(batch(2, 5), [])
    progress.ack(second, "readings")
    assert progress.committable == 0
    progress.ack(first, "readings")
    assert progress.committable == 5
    assert progress.unacked == 0


def test_a_batch_with_rejected_messages_waits_for_both_streams():
    progress = Progress(0)
    number = progress.add(batch(0, 2), [Rejected(1, "why", None, None)])
    progress.ack(number, "readings")
    assert progress.committable == 0
    progress.ack(number, "rejected")
    assert progress.committable == 2


def test_batches_chain():
    with pytest.raises(ValueError, match="starts at 1"):
        Progress(0).add(batch(1, 2), [])


def test_a_second_acknowledgement_changes_nothing():
    progress = Progress(0)
    number = progress.add(batch(0, 2), [])
    progress.ack(number, "readings")
    progress.ack(number, "readings")
    assert progress.unacked == 0
    assert progress.fail(number) is None


def test_rejected_messages_count_as_unacknowledged_too():
    progress = Progress(0)
    number = progress.add(batch(0, 2), [Rejected(1, "why", None, None)])
    assert progress.unacked == 3
    progress.ack(number, "readings")
    progress.ack(number, "rejected")
    assert progress.unacked == 0
