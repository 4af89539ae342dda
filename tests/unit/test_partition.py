"""The protocol around a machine, with windows in it: parking, acknowledging, restarting; what it sees of silence."""

import pytest

from made import settings
from oda.core import detectors, snapshot
from oda.core.batch import Batch, Readings, RuleMark
from oda.core.detectors.student import Student
from oda.core.machine import Gap, OvertakenError
from oda.core.partition import Ack, Action, Emit, Fail, Load, Save, Skip, Tell
from oda.core.reading import Reading
from oda.core.window_partition import Mark, WindowPartition
from oda.core.windows import PartitionWindows
from oda.settings import Window

RULES = Window(size_ms=1000, lateness_ms=0, idle_ms=100)


def batch(start: int, times: list[int], *, committed: int = 0, epoch: int = 1, seq: int = 0, clock: int = 0) -> Batch:
    readings = Readings.of(range(start, start + len(times)), [Reading("a", time, float(time)) for time in times])
    return Batch(0, epoch, seq, start, start + len(times), committed, clock, readings)


def begun(position: int = 0) -> PartitionWindows:
    return PartitionWindows(settings(window=RULES), position)


class Driven:
    """A partition that is driven by hand: loaded when it asks, its saves kept until they are said to be durable."""

    def __init__(self, windows: PartitionWindows) -> None:
        self.now = 0.0
        self.partition = WindowPartition(begun, 1.0)
        self.begin = windows
        self.saves: list[Save] = []

    def receive(self, batch: Batch, handle: str) -> list[Action]:
        return self._note(self.partition.receive(batch, handle, self.now))

    def saved(self, position: int) -> list[Action]:
        return self._note(self.partition.saved(position, self.now))

    def _note(self, actions: list[Action]) -> list[Action]:
        if Load() in actions:
            actions += self.partition.loaded(self.begin, self.now)
        self.saves += [action for action in actions if isinstance(action, Save)]
        return [action for action in actions if not isinstance(action, Load | Save)]

    def tick(self) -> list[Action]:
        return self._note(self.partition.tick(self.now))

    @property
    def windows(self) -> PartitionWindows:
        return self.partition._machine or self.begin

    def silent(self, epoch: int, position: int, clock: int) -> dict[str, int]:
        marks = [
            action for action in self.partition.clock(epoch, position, 0, clock, self.now) if isinstance(action, Mark)
        ]
        assert all(mark.position == position for mark in marks)
        return marks[0].through if marks else {}


def fresh() -> Driven:
    return Driven(begun())


def emits(actions):
    return [action for action in actions if isinstance(action, Emit)]


def acks(actions):
    return [action.handle for action in actions if isinstance(action, Ack)]


def starts(actions):
    return [row.start for emit in emits(actions) for row in emit.outputs["closed"]]


def restarted(partition: Driven) -> Driven:
    return Driven(snapshot.decode([snapshot.encode(partition.windows)], begun()))


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
    partition.now += 1.0
    partition.saved(position)
    assert [save.position for save in partition.saves] == [2, 3], "what has changed since is saved next"


def test_a_batch_beyond_the_position_waits_for_the_gap_to_be_filled():
    partition = fresh()
    assert partition.receive(batch(2, [1000]), "second") == []
    assert [emit.handle for emit in emits(partition.receive(batch(0, [0, 500]), "first"))] == ["first", "second"]


def test_windows_refuse_a_gap():
    with pytest.raises(Gap):
        begun().apply(batch(2, [1000]))


def test_a_duplicate_puts_out_the_same_again():
    partition = fresh()
    first = emits(partition.receive(batch(0, [0, 500, 1000]), "a"))[0]
    partition.receive(batch(3, [2000, 3000]), "b")
    again = emits(partition.receive(batch(0, [0, 500, 1000]), "c"))[0]
    assert again.outputs == first.outputs


def test_after_a_restart_a_replay_puts_out_the_same():
    partition = fresh()
    first = starts(partition.receive(batch(0, [0, 500, 1000]), "a"))
    partition = restarted(partition)
    assert starts(partition.receive(batch(0, [0, 500, 1000], epoch=2), "b")) == first
    assert acks(partition.receive(batch(0, [0, 500, 1000], epoch=2), "c")) == ["c"]


def test_without_a_snapshot_it_starts_at_the_committed_offset_and_counts_the_loss():
    partition = fresh()
    actions = partition.receive(batch(7, [0], committed=7), "a")
    assert len(emits(actions)) == 1
    assert Skip(7) in actions


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
        snapshot.decode([snapshot.encode(fresh().windows)], PartitionWindows(settings(window=rules)))


def test_a_snapshot_of_an_unknown_format_is_refused(monkeypatch):
    data = snapshot.encode(fresh().windows)
    monkeypatch.setattr(snapshot, "FORMAT", 99)
    with pytest.raises(snapshot.SnapshotError, match="format 4, this program reads 99"):
        snapshot.decode([data], begun())


def test_a_damaged_snapshot_is_refused():
    with pytest.raises(snapshot.SnapshotError, match="damaged"):
        snapshot.decode([snapshot.encode(fresh().windows)[:-1]], begun())


def test_whichever_byte_of_a_snapshot_is_damaged_it_is_found() -> None:
    data = snapshot.encode(begun(7))
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytes([*data[:at], data[at] ^ 1 << bit, *data[at + 1 :]])
            with pytest.raises(snapshot.SnapshotError):
                snapshot.decode([damaged], begun())


def test_the_ledger_forgets_what_is_committed():
    partition = fresh()
    for number in range(100):
        partition.receive(batch(number, [number * 1000], committed=max(0, number - 3)), number)
    kept = partition.windows.ledgers["closed"].since(0)
    assert [row.closed_at for row in kept] == [96, 97, 98, 99]


def test_what_one_record_closes_is_put_out_again_after_a_restart_even_if_the_committed_offset_is_at_that_record():
    rules = Window(size_ms=1000, lateness_ms=1000)
    first = PartitionWindows(settings(window=rules))
    closing = batch(3, [4000], committed=3)
    for applied in (batch(0, [0]), batch(1, [2000]), batch(2, [1000]), closing):
        first.apply(applied)
    assert [row.start for row in first.outputs(closing)["closed"]] == [1000, 2000]
    restored = snapshot.decode([snapshot.encode(first)], PartitionWindows(settings(window=rules)))
    assert restored.outputs(closing) == first.outputs(closing)


def test_what_was_forgotten_is_not_judged_again_when_the_committed_offset_is_set_back():
    partition = fresh()
    for number in range(10):
        partition.receive(batch(number, [number * 1000], committed=max(0, number - 1)), number)
    partition = restarted(partition)
    again = batch(6, [6000, 7000, 8000, 9000], committed=6, epoch=2)
    (emit,) = emits(partition.receive(again, "again"))
    assert [row.closed_at for row in emit.outputs["closed"]] == [8, 9]


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


def test_while_its_snapshot_is_not_there_it_asks_once_and_keeps_what_comes():
    partition = WindowPartition(begun, 1.0)
    assert partition.receive(batch(0, [0, 500]), "a", 0.0) == [Load()]
    assert partition.receive(batch(2, [1000]), "b", 0.0) == []
    assert partition.tick(9.0) == partition.clock(1, 0, 0, 9000, 9.0) == []
    actions = partition.loaded(begun(), 10.0)
    assert [emit.handle for emit in emits(actions)] == ["a", "b"]


def test_what_came_of_former_runs_of_the_spout_while_its_snapshot_was_not_there_is_let_go():
    partition = WindowPartition(begun, 1.0)
    partition.receive(batch(0, [0, 500]), "old", 0.0)
    assert failed(partition.receive(batch(0, [0], epoch=2), "new run", 0.0)) == ["old"]
    assert [emit.handle for emit in emits(partition.loaded(begun(), 0.0))] == ["new run"]


def test_one_save_at_a_time_and_the_next_one_after_the_interval():
    partition = fresh()
    partition.receive(batch(0, [0]), "a")
    partition.receive(batch(1, [1]), "b")
    partition.now += 5.0
    partition.tick()
    assert [save.position for save in partition.saves] == [1]
    partition.saved(1)
    assert [save.position for save in partition.saves] == [1, 2]
    partition.saved(2)
    partition.receive(batch(2, [2]), "c")
    partition.now += 0.9
    partition.tick()
    assert [save.position for save in partition.saves] == [1, 2]
    partition.now += 0.1
    partition.tick()
    assert [save.position for save in partition.saves] == [1, 2, 3]


def test_a_backlog_is_saved_before_the_interval_is_over_and_then_as_soon_as_it_is_much_beside_what_went_before():
    partition = fresh()
    partition.receive(batch(0, [0] * 6_000), "a")
    partition.saved(6_000)
    partition.now += 0.1
    partition.receive(batch(6_000, [0] * 4_000), "b")
    assert [save.position for save in partition.saves] == [6_000]
    partition.receive(batch(10_000, [0] * 50_000), "c")
    assert [save.position for save in partition.saves] == [6_000, 60_000]
    partition.saved(60_000)
    partition.now += 0.1
    partition.receive(batch(60_000, [0] * 8_000), "d")
    assert [save.position for save in partition.saves] == [6_000, 60_000], "less than a seventh of the last seconds'"
    partition.receive(batch(68_000, [0] * 2_000), "e")
    assert [save.position for save in partition.saves] == [6_000, 60_000, 70_000]


def test_a_gap_that_stays_is_told_to_the_spout_by_failing_a_batch_once_a_second():
    partition = fresh()
    partition.receive(batch(2, [1000]), "b")
    partition.receive(batch(3, [1000]), "c")
    assert failed(partition.tick()) == []
    partition.now += 1.0
    assert failed(partition.tick()) == ["b"]
    assert failed(partition.tick()) == []
    partition.now += 1.0
    assert failed(partition.receive(batch(4, [1000]), "d")) == ["c"]
    assert [emit.handle for emit in emits(partition.receive(batch(0, [0, 1, 2, 3]), "all"))] == ["all", "d"]
    partition.now += 5.0
    assert failed(partition.tick()) == [], "no gap is left"


def test_a_clock_has_it_load_a_partition_of_which_nothing_comes_any_more():
    partition = WindowPartition(begun, 1.0)
    assert partition.clock(1, 2, 0, 9000, 0.0) == [Load()]
    assert partition.clock(1, 2, 0, 9500, 0.0) == []
    windows = begun()
    windows.apply(batch(0, [0, 500]))
    partition.loaded(windows, 0.0)
    assert partition.clock(1, 2, 0, 9599, 0.0) == [], "silence counts from the first clock on"
    assert partition.clock(1, 2, 0, 9600, 0.0) == [Mark(2, {"a": 0}, [])]


def test_a_run_of_the_spout_elsewhere_counts_silence_for_itself_whatever_its_clock_says():
    partition = fresh()
    partition.receive(batch(0, [0, 500], epoch=5, clock=10_000), "a")
    assert partition.silent(4, 2, 0) == {}
    assert partition.silent(4, 2, 599) == {}
    assert partition.silent(4, 2, 600) == {"a": 0}
    assert partition.silent(6, 2, 900_000) == {}
    assert partition.silent(5, 2, 10_600) == {"a": 0}


def test_a_run_of_the_spout_whose_machine_has_an_earlier_time_is_a_new_one_all_the_same():
    partition = fresh()
    partition.receive(batch(0, [0, 500], epoch=5), "old")
    assert failed(partition.receive(batch(0, [0, 500], epoch=4), "new")) == ["old"]
    assert failed(partition.receive(batch(2, [500], epoch=5), "of a zombie")) == []


def test_what_was_committed_after_the_snapshot_was_asked_for_tells_of_another_process_so_it_is_asked_for_again():
    partition = WindowPartition(begun, 1.0)
    assert partition.receive(batch(5, [500], committed=5), "a", 0.0) == [Load()]
    assert partition.receive(batch(9, [600], committed=9), "b", 0.0) == []
    stale, newer = begun(5), begun(9)
    assert partition.loaded(stale, 0.0) == [Load()]
    assert [emit.handle for emit in emits(partition.loaded(newer, 0.0))] == ["a", "b"]


def test_a_snapshot_that_a_clock_has_loaded_may_be_older_than_what_is_committed():
    partition = WindowPartition(begun, 1.0)
    assert partition.clock(1, 7, 0, 0, 0.0) == [Load()]
    assert partition.loaded(begun(), 0.0) == []
    assert partition.receive(batch(7, [500], committed=7), "a", 0.0) == [Load()]
    actions = partition.loaded(begun(), 0.0)
    assert Skip(7) in actions, "it was asked for when that was known: there is no other one"
    assert [emit.handle for emit in emits(actions)] == ["a"]


def test_a_clock_tells_one_that_nothing_came_to_of_another_process_that_went_on():
    partition = WindowPartition(begun, 1.0)
    assert partition.clock(1, 0, 0, 0, 0.0) == [Load()]
    assert partition.loaded(begun(), 0.0) == []
    assert partition.clock(2, 7, 7, 500, 0.0) == [Load()]
    windows = begun()
    windows.apply(batch(0, [0, 500, 510, 520, 530, 540, 550]))
    assert partition.loaded(windows, 0.0) == []
    assert partition.clock(2, 7, 7, 1600, 0.0) == [Mark(7, {"a": 0}, [])]


def test_a_snapshot_has_a_bounded_number_of_parts_however_little_changes():
    partition = fresh()
    names = [f"series {number}" for number in range(2000)]
    many = Readings.of(range(2000), [Reading(name, 0, 1.0) for name in names])
    partition.receive(Batch(0, 1, 0, 0, 2000, 0, 0, many), "many")
    for number in range(200):
        partition.saved(partition.saves[-1].position)
        partition.now += 10.0
        partition.receive(batch(2000 + number, [number]), number)
    parts = "".join("W" if save.is_whole else "c" for save in partition.saves)
    assert parts.startswith("W" + "c" * 64 + "W" + "c" * 64 + "W")


def test_rules_that_name_a_detector_that_is_not_installed_wait_until_it_is(monkeypatch):
    partition = fresh()
    partition.receive(batch(0, [0, 500]), "before")
    rules = RuleMark(3, 1, 'rules: [{series: a, window: {size: 5s}, detectors: [{use: "own/1"}]}]')
    actions = partition.receive(batch(2, [900, 1100])._replace(rules=[rules]), "changes")
    assert [action.problem for action in actions if isinstance(action, Tell)]
    assert "no detector is called 'own/1'" in actions[-1].problem
    assert partition.windows.position == 2, "nothing of it is applied"
    partition.now += 5.0
    assert partition.receive(batch(4, [1200]), "after") == [], "nor asked for again: nothing is missing"
    assert failed(partition.receive(batch(2, [900, 1100])._replace(rules=[rules], seq=1), "again")) == ["changes"]
    partition.now += 5.0
    assert [type(action) for action in partition.tick()] == [Tell]
    monkeypatch.setitem(detectors._OWN, "own/1", f"{__name__}:Own")
    assert emits(partition.tick()) == []
    partition.now += 10.0
    assert [emit.handle for emit in emits(partition.tick())] == ["again", "after"]
    assert partition.windows.rules.version == 1


class Own(Student):
    name = "own/1"
