"""The window bolt's protocol: parking, acknowledging, restarting, and what it sees of silence."""

import pytest

from oda.core import snapshot
from oda.core.batch import Batch, Readings
from oda.core.partition import Ack, Emit, Fail, OvertakenError, Partition
from oda.core.reading import Reading
from oda.core.windows import Gap, PartitionWindows
from oda.settings import Window

RULES = Window(size_ms=1000, lateness_ms=0, idle_ms=100)


def batch(start: int, times: list[int], *, committed: int = 0, epoch: int = 1, seq: int = 0, clock: int = 0) -> Batch:
    readings = Readings.of(range(start, start + len(times)), [Reading("a", time, float(time)) for time in times])
    return Batch(0, epoch, seq, start, start + len(times), committed, clock, readings)


def fresh() -> Partition:
    return Partition(PartitionWindows(RULES))


def emits(actions):
    return [action for action in actions if isinstance(action, Emit)]


def acks(actions):
    return [action.handle for action in actions if isinstance(action, Ack)]


def starts(actions):
    return [row.start for emit in emits(actions) for row in emit.rows]


def restarted(partition: Partition) -> Partition:
    return Partition(snapshot.decode(snapshot.encode(partition.windows), RULES))


def test_a_batch_is_emitted_at_once_and_acknowledged_when_its_snapshot_is_durable():
    partition = fresh()
    actions = partition.receive(batch(0, [0, 500, 1000]), "first")
    assert starts(actions) == [0]
    assert acks(actions) == []
    assert acks(partition.saved(partition.windows.position)) == ["first"]


def test_a_snapshot_short_of_the_end_acknowledges_nothing():
    partition = fresh()
    partition.receive(batch(0, [0, 500]), "first")
    position = partition.windows.position
    partition.receive(batch(2, [1000]), "second")
    assert acks(partition.saved(position)) == ["first"]
    assert partition.is_dirty


def test_a_batch_beyond_the_position_waits_for_the_gap_to_be_filled():
    partition = fresh()
    assert partition.receive(batch(2, [1000]), "second") == []
    assert [emit.handle for emit in emits(partition.receive(batch(0, [0, 500]), "first"))] == ["first", "second"]


def test_windows_refuse_a_gap():
    with pytest.raises(Gap):
        PartitionWindows(RULES).apply(batch(2, [1000]))


def test_a_duplicate_puts_out_the_same_again():
    partition = fresh()
    first = emits(partition.receive(batch(0, [0, 500, 1000]), "a"))[0]
    partition.receive(batch(3, [2000, 3000]), "b")
    again = emits(partition.receive(batch(0, [0, 500, 1000]), "c"))[0]
    assert again.rows == first.rows
    assert [column.tolist() for column in again.baselines] == [column.tolist() for column in first.baselines]


def test_after_a_restart_a_replay_puts_out_the_same():
    partition = fresh()
    first = starts(partition.receive(batch(0, [0, 500, 1000]), "a"))
    partition = restarted(partition)
    assert starts(partition.receive(batch(0, [0, 500, 1000], epoch=2), "b")) == first
    assert acks(partition.receive(batch(0, [0, 500, 1000], epoch=2), "c")) == ["c"]


def test_without_a_snapshot_it_starts_at_the_committed_offset_and_counts_the_loss():
    partition = fresh()
    assert len(emits(partition.receive(batch(7, [0], committed=7), "a"))) == 1
    assert partition.lost == 7


def test_more_committed_than_was_applied_here_tells_of_another_process():
    partition = fresh()
    partition.receive(batch(0, [0, 500]), "a")
    with pytest.raises(OvertakenError, match="applied up to 2, but 7 is committed"):
        partition.receive(batch(7, [0], committed=7), "b")


def test_silence_is_seen_only_when_just_what_the_log_held_then_has_been_applied():
    partition = fresh()
    partition.receive(batch(0, [0, 500]), "a")
    assert partition.silent(1, 1, 9000) == partition.silent(1, 3, 9000) == {}
    assert partition.silent(1, 2, 9000) == {"a": 0}


def test_a_replay_says_nothing_of_when_a_series_was_heard():
    partition = fresh()
    partition.receive(batch(0, [0], clock=100), "a")
    partition.receive(batch(1, [500], clock=5000), "b")
    partition.receive(batch(0, [0], clock=100), "a again")
    assert partition.silent(1, 2, 5500) == {}
    assert partition.silent(1, 2, 5600) == {"a": 0}


@pytest.mark.parametrize("rules", [Window(size_ms=2000), Window(size_ms=1000, lateness_ms=1)])
def test_a_snapshot_of_other_window_rules_is_refused(rules):
    with pytest.raises(snapshot.SnapshotError, match=r"oda\.window"):
        snapshot.decode(snapshot.encode(fresh().windows), rules)


def test_a_snapshot_of_an_unknown_format_is_refused(monkeypatch):
    data = snapshot.encode(fresh().windows)
    monkeypatch.setattr(snapshot, "FORMAT", 99)
    with pytest.raises(snapshot.SnapshotError, match="format 2, this program reads 99"):
        snapshot.decode(data, RULES)


def test_a_damaged_snapshot_is_refused():
    with pytest.raises(snapshot.SnapshotError, match="damaged"):
        snapshot.decode(snapshot.encode(fresh().windows)[:-1], RULES)


def test_whichever_byte_of_a_snapshot_is_damaged_it_is_found() -> None:
    data = snapshot.encode(PartitionWindows(RULES, 7))
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytes([*data[:at], data[at] ^ 1 << bit, *data[at + 1 :]])
            with pytest.raises(snapshot.SnapshotError):
                snapshot.decode(damaged, RULES)


def test_the_ledger_forgets_what_is_committed_but_keeps_the_baseline():
    partition = fresh()
    for number in range(100):
        partition.receive(batch(number, [number * 1000], committed=max(0, number - 3)), number)
    kept = partition.windows.series["a"].closed
    assert [row.closed_at for row in kept] == [96, 97, 98, 99]


def test_what_was_forgotten_is_not_judged_again_when_the_committed_offset_is_set_back():
    partition = fresh()
    for number in range(10):
        partition.receive(batch(number, [number * 1000], committed=max(0, number - 1)), number)
    partition = restarted(partition)
    again = batch(6, [6000, 7000, 8000, 9000], committed=6, epoch=2)
    (emit,) = emits(partition.receive(again, "again"))
    assert [row.closed_at for row in emit.rows] == [8, 9]
    assert emit.baselines.since.tolist() == [8, 9]


def failed(actions):
    return [action.handle for action in actions if isinstance(action, Fail)]


def test_a_replay_takes_the_place_of_the_attempt_that_storm_has_given_up():
    partition = fresh()
    first = batch(0, [0, 500])
    partition.receive(first, "first")
    assert failed(partition.receive(first._replace(seq=1), "again")) == ["first"]
    assert acks(partition.saved(partition.windows.position)) == ["again"]
    assert failed(partition.receive(first._replace(seq=2), "a third time")) == []


def test_a_replay_takes_the_place_of_the_attempt_that_waits_for_a_gap_to_be_filled():
    partition = fresh()
    partition.receive(batch(2, [1000]), "early")
    assert failed(partition.receive(batch(2, [1000]), "again")) == ["early"]
    assert [emit.handle for emit in emits(partition.receive(batch(0, [0, 500]), "gap"))] == ["gap", "again"]


def test_a_new_run_of_the_spout_lets_go_of_all_that_the_one_before_has_sent():
    partition = fresh()
    partition.receive(batch(0, [0, 500]), "data")
    partition.receive(batch(5, [900]), "early")
    assert failed(partition.receive(batch(0, [0], epoch=2), "new run")) == ["early", "data"]
    assert acks(partition.saved(partition.windows.position)) == ["new run"]
