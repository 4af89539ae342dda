"""Groups, pure: what their members make, whatever order they come in, and what is told of progress."""

import itertools
import random
from math import sqrt

import numpy as np
import pytest

from made import settings
from oda.core import log, snapshot
from oda.core.batch import Batch, Readings
from oda.core.groups import derived
from oda.core.groups.aggregates import Row, value_of
from oda.core.groups.definition import Definition
from oda.core.groups.merging import Derived, Merging
from oda.core.groups.publishing import Publish, PublishingPartition
from oda.core.groups.telling import Quiet, Said, Telling
from oda.core.groups.told import Mark, Member, Members, Progress, read
from oda.core.partition import Ack, Save
from oda.core.reading import RejectedError, decode
from oda.core.windows import PartitionWindows
from oda.kafka.derived import rounds

SETTINGS = settings()
TEN = Definition(1, 10, 5, "sum", 1)
NONE = Readings.of([], [])


def member(at: int, start: int = 0, mean: float = 1.0, definition: Definition = TEN, series: str = "") -> Member:
    return Member("group:g", series or f"s{at}", start, 2, mean, 0.0, at, at, False, definition)


def progress(partition: int, position: int, time: int, partitions: int = 2, is_quiet: bool = False) -> Progress:
    return Progress("oda", partition, partitions, position, time, is_quiet)


def members(partition: int, *found: Member) -> Members:
    return Members("oda", partition, list(found))


def batch(start: int, told: list, committed: int = 0) -> Batch:
    marks = [Mark(start + number, one) for number, one in enumerate(told)]
    return Batch(0, 0, 0, start, start + len(told), committed, 0, NONE, told=marks)


def made(*told) -> list[tuple[int, float]]:
    """The readings of the group."""
    machine = Merging(SETTINGS)
    one = batch(0, list(told))
    machine.apply(one)
    return [(row.time, row.value) for row in machine.outputs(one)["derived"]]


def rows(count: int) -> list[Row]:
    chance = random.Random(7)
    return [
        Row(n % 3, n, f"s{n % 40}", chance.randint(1, 9), chance.gauss(5, 3), abs(chance.gauss(0, 2)), n % 5 == 0)
        for n in range(count)
    ]


def test_aggregates_are_those_of_all_readings_and_of_members_means():
    a, b = np.array([1.0, 2.0, 6.0]), np.array([4.0, 8.0])
    both = [
        Row(0, 1, "a", 3, float(a.mean()), float(a.std()), True),
        Row(0, 2, "b", 2, float(b.mean()), float(b.std()), False),
    ]
    everything = np.r_[a, b]
    found = {name: value_of(name, both, 3) for name in ("mean", "stddev", "sum", "minimum", "maximum", "members")}
    assert found["mean"] == pytest.approx(everything.mean())
    assert found["stddev"] == pytest.approx(everything.std())
    assert (found["sum"], found["minimum"], found["maximum"], found["members"]) == (9.0, 3.0, 6.0, 2.0)
    assert (value_of("readings", both, 3), value_of("anomalous", both, 3), value_of("late", both, 3)) == (5.0, 0.5, 3.0)
    assert value_of("quantile:0.25", both, 0) == np.quantile([3.0, 6.0], 0.25)


def test_several_windows_of_one_member_are_one_mean():
    parts = [Row(0, 1, "a", 1, 2.0, 0.0, False), Row(0, 2, "a", 3, 6.0, 0.0, False), Row(0, 3, "b", 9, 1.0, 0.0, False)]
    assert value_of("maximum", parts, 0) == 5.0
    assert value_of("stddev", parts[:2], 0) == pytest.approx(sqrt(3))


@pytest.mark.parametrize("aggregate", ["mean", "stddev", "sum", "quantile:0.37", "anomalous"])
def test_the_order_of_arrival_changes_no_bit(aggregate):
    known = rows(200)
    shuffled = random.Random(1).sample(known, len(known))
    assert value_of(aggregate, shuffled, 0) == value_of(aggregate, known, 0)


def test_a_window_waits_for_every_partition():
    told = [members(0, member(1)), members(1, member(1, mean=2.0, series="t")), progress(0, 9, 15)]
    assert made(*told) == []
    assert made(*told, progress(1, 9, 14)) == []
    assert made(*told, progress(1, 9, 15)) == [(0, 3.0)]


def test_old_progress_too_tells_of_a_partition_more():
    """Simulated: without that it depended on when the bolt had begun anew."""
    told = [progress(0, 9, 99, partitions=1), progress(0, 5, 3, partitions=2), members(0, member(12))]
    assert made(*told) == []
    assert made(*told, progress(1, 0, 99)) == [(0, 1.0)]


def test_a_quiet_partition_holds_nobody_up_until_more_is_heard_of_it():
    told = [members(0, member(1)), progress(1, 4, 3, is_quiet=True)]
    assert made(*told, progress(0, 9, 15)) == [(0, 1.0)]
    assert made(*told, progress(1, 4, 3), progress(0, 9, 15)) == [(0, 1.0)]  # an old one says nothing new
    assert made(*told, progress(1, 5, 4), progress(0, 9, 15)) == []


def test_a_repetition_counts_once_before_progress_and_behind_it():
    told = [members(0, member(1)), members(0, member(1)), progress(0, 2, 1), members(0, member(1))]
    assert made(*told, progress(1, 0, 15), progress(0, 9, 15)) == [(0, 1.0)]


def test_a_late_member_is_counted_and_a_repetition_is_not_late():
    late = Definition(1, 10, 5, "late", 1)
    first = [members(0, member(1, definition=late)), progress(1, 0, 99), progress(0, 2, 15)]
    then = [members(0, member(1, definition=late), member(3, definition=late), member(4, 20, definition=late))]
    assert made(*first, *then, progress(0, 9, 35)) == [(0, 0.0), (20, 1.0)]


def test_a_window_with_too_few_members_makes_no_reading():
    two = Definition(1, 10, 5, "members", 2)
    told = [members(0, member(1, definition=two), member(2, definition=two, series="s1")), progress(1, 0, 99)]
    assert made(*told, progress(0, 9, 15)) == []
    assert made(members(0, member(3, definition=two)), *told, progress(0, 9, 15)) == [(0, 2.0)]


def test_newer_rules_close_windows_of_another_size():
    newer = Definition(2, 4, 5, "sum", 1)
    assert made(members(0, member(1)), members(0, member(2, 12, definition=newer))) == [(0, 1.0)]


def test_a_replay_and_a_snapshot_change_nothing():
    found = [member(at, at * 3) for at in range(9)]
    told = [members(0, *found[:3]), members(0, *found[3:]), progress(1, 0, 99), progress(0, 9, 22)]
    whole = batch(0, told)
    machine = Merging(SETTINGS)
    machine.apply(whole)
    outputs = machine.outputs(whole)
    for cut in range(1, len(told)):
        other = Merging(SETTINGS)
        other.apply(batch(0, told[:cut]))
        other = snapshot.decode([snapshot.encode(other)], Merging(SETTINGS))
        other.apply(whole)
        other.apply(whole)
        assert other.outputs(whole) == outputs
    assert len(outputs["derived"]) == 1


def test_progress_is_told_of_what_chains():
    telling = Telling("oda", 2)
    told = [read([Said_record(value)], "oda")[0].told for _, value in telling.progress([Said(0, 5, 9, 0, 7, [])], 3)]
    assert [(one.position, one.time, one.partitions) for one in told] == [(0, -1, 3)] * 2
    ((_, value), _) = telling.progress([Said(0, 0, 5, 0, 3, [])], 3)
    (mark,) = read([Said_record(value)], "oda")
    assert (mark.told.position, mark.told.time) == (9, 7)
    assert telling.progress([Quiet(0, 8)], 3) == []  # more came since
    assert [read([Said_record(value)], "oda")[0].told.is_quiet for _, value in telling.progress([Quiet(0, 9)], 3)] == [
        True,
        True,
    ]


class Said_record:  # noqa: N801 - of a log
    offset = 0

    def __init__(self, value: bytes) -> None:
        self.value = value


def test_another_groups_members_and_what_is_none_mean_nothing():
    other = Telling("another", 1).members([Said(0, 0, 1, 0, 0, [member(1)])])
    assert read([Said_record(value) for value in (other[0][1], b"?", None, b"\xff")], "oda") == []


def test_each_round_has_one_reading_of_each_group_in_order():
    found = [Derived(name, time, 0.0, 0, 0) for name, time in (("a", 1), ("b", 1), ("a", 2), ("a", 3))]
    assert [[(row.series, row.time) for row in some] for some in rounds(found)] == [
        [("a", 1), ("b", 1)],
        [("a", 2)],
        [("a", 3)],
    ]


def test_a_batch_is_acknowledged_when_it_is_durable_and_published():
    partition = PublishingPartition(lambda at: Merging(SETTINGS, at), 0.0)
    told = [members(0, member(1)), progress(1, 0, 99), progress(0, 9, 15)]
    partition.receive(batch(0, told), "first", 0.0)
    actions = partition.loaded(Merging(SETTINGS), 0.0)
    (publish,) = (action for action in actions if isinstance(action, Publish))
    (save,) = (action for action in actions if isinstance(action, Save))
    assert [row.value for row in publish.rows] == [1.0]
    assert not any(isinstance(action, Ack) for action in partition.saved(save.position, 1.0))
    assert partition.published(publish.through) == [Ack("first")]


def test_what_a_snapshot_has_is_published_again_in_order_before_what_follows():
    machine = Merging(SETTINGS)
    told = [members(0, member(1)), progress(1, 0, 99), progress(0, 9, 15)]
    machine.apply(batch(0, told))
    partition = PublishingPartition(lambda at: Merging(SETTINGS, at), 0.0)
    partition.receive(batch(3, [members(0, member(11, 20)), progress(0, 12, 35)]), "second", 0.0)
    found = partition.loaded(snapshot.decode([snapshot.encode(machine)], Merging(SETTINGS)), 0.0)
    assert [row.time for action in found if isinstance(action, Publish) for row in action.rows] == [0, 20]


# -- in the log of readings


class Record:
    timestamp, by_broker = 2**43, True

    def __init__(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        self.offset, self.key, self.value = offset, key, value


def records(*times: int, group: str = "oda") -> list[Record]:
    return [
        Record(offset, derived.KEY, derived.encode(group, "group:g", time, 1.0)) for offset, time in enumerate(times)
    ]


def test_a_repeated_derived_reading_counts_for_nothing_however_the_log_is_cut():
    times = [2000, 4000, 2000, 4000, 6000, 4000, 8000]
    found = []
    for cut in range(len(times) + 1):
        machine = PartitionWindows(SETTINGS)
        for part in filter(None, (records(*times)[:cut], records(*times)[cut:])):
            readings = log.read(part, "oda", 0, lambda _: "").readings
            start, end = part[0].offset, part[-1].offset + 1
            machine.apply(Batch(0, 0, 0, start, end, 0, 0, readings))
        outputs = machine.outputs(Batch(0, 0, 0, 0, len(times), 0, 0, NONE))
        assert [row.offset for row in outputs["repeated"]] == [2, 3, 5]
        found.append(outputs["closed"])
    assert [(row.start, row.count) for row in found[0]] == [(2000, 1), (4000, 1), (6000, 1)]
    assert all(one == other for one, other in itertools.pairwise(found))


def test_a_plain_reading_under_a_groups_name_is_rejected_and_other_groups_derived_ones_mean_nothing():
    plain = b'{"series": "group:g", "time": 1732300000000, "value": 1}'
    with pytest.raises(RejectedError, match="names that begin with group: are those of groups"):
        decode(plain, 2**43, 0)
    meaning = log.read([Record(0, b"k", plain), *records(1, group="another")], "oda", 0, lambda _: "")
    assert list(meaning.rejected) == [0]
    assert not len(meaning.readings.offsets)


def test_a_record_of_members_is_one_that_kafka_takes_whatever_their_names_are():
    names = ["\U0001f6e0" * 249, "\x01" * 249]
    found = [
        Member(names[at % 2], names[at % 2], 2**43, 2**40, 1e-300 / 3, 1e300 / 3, at, at, True, TEN)
        for at in range(999)
    ]
    messages = Telling("oda", 1).members([Said(0, 0, 999, 0, 0, found)])
    assert all(len(value) < 1_000_000 for _, value in messages)
    assert [one for _, value in messages for one in read([Said_record(value)], "oda")[0].told.members] == found


def test_what_is_kept_does_not_grow_with_the_windows_that_were():
    machine, sizes = Merging(SETTINGS), []
    for window in range(50):
        first = window * 100
        found = [member(first + at, window * 10, series=f"s{at}") for at in range(100)]
        told = [members(0, *found), progress(1, 0, first, is_quiet=True), progress(0, first + 100, window * 10 + 9)]
        machine.apply(batch(machine.position, told, committed=machine.position))
        sizes.append(len(snapshot.encode(machine)))
    assert sum(map(len, machine.series["group:g"].open.values())) == 100
    assert max(sizes) == pytest.approx(sizes[10], rel=0.01)
