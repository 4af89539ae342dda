"""The benchmarks of groups: their rule gives each series its group, and no member of a workload is too late."""

from __future__ import annotations

import json
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

import made
from oda.bench import group_results
from oda.bench.engines import PEERS
from oda.bench.group_latency import Seen, windows
from oda.bench.group_results import GroupResults, expected_groups
from oda.bench.group_rule import rule
from oda.bench.throughput import _TAKEN_ON
from oda.bench.workload import JITTER_MS, Workload, series_name
from oda.core.groups import derived
from oda.core.groups.definition import Definition
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.records import Record

DEFINITION = Definition(1, 2000, 1000, "mean", 2)


def test_the_rule_gives_each_series_its_group():
    rules = parse(rule(members=25, lateness_ms=1500), made.settings())
    for number in (0, 13, 99):
        (membership,) = rules.memberships(series_name(number, groups=4))
        assert membership.group == f"group:rack-{number % 4}"
        assert membership.definition == Definition(0, 2000, 1500, "mean", 25)
    assert rules.memberships("group:rack-1") == ()


def test_without_a_lateness_that_of_rules_that_say_nothing_of_it_holds():
    settings = made.settings()
    (group,) = parse(rule(members=25, lateness_ms=None), settings).groups
    assert group.definition.lateness == 2 * settings.window.idle_ms


def seen(*, second_partition: bool = True) -> Seen:
    """A group of two members, one in each partition; all is appended 5 ms after its time, unless it says another."""
    found = Seen(DEFINITION, 2)
    for partition in range(1 + second_partition):
        for offset, at in enumerate((100 + partition, 2100 + partition, 2050, 3000 + 40 * partition)):
            found.record(partition, offset, at + 5)
            found.reading(partition, at, at + 5)
    found.window("rack-0/bench-0", 0, (0, 1), 2110)
    found.window("rack-0/bench-0", 0, (0, 1), 9999)
    return found


def test_latencies_are_from_what_ends_a_window_to_what_comes_of_it():
    both = seen()
    both.window("rack-0/bench-1", 0, (1, 2), 2200)
    both.derived("rack-0", 0, 3100)
    both.derived("rack-0", 0, 9999)
    found = both.latencies([("rack-0", 0)])
    assert found.members.tolist() == [2200 - 2055]
    assert found.group.tolist() == [3100 - 3045]  # the second partition is the last that comes so far
    assert found.behind.tolist() == [3100 - 2200]
    assert found.beyond.tolist() == [3100 - 2200 - 1000]


def test_a_window_is_there_when_every_member_and_the_group_are():
    one = seen()
    one.derived("rack-0", 0, 3100)
    assert not one.has([("rack-0", 0)])
    one.window("rack-0/bench-1", 0, (1, 2), 2200)
    assert one.has([("rack-0", 0)])
    assert not one.has([("rack-0", 0), ("rack-0", 2000)])


def test_windows_that_were_measured_lie_within():
    assert windows(DEFINITION, 2, since=2000, until=6000) == [
        ("rack-0", 2000),
        ("rack-0", 4000),
        ("rack-1", 2000),
        ("rack-1", 4000),
    ]


def test_a_window_is_over_when_all_have_come_beyond_it_by_the_lateness():
    workload = Workload(10, 10 * 301, groups=2)  # up to 3 s
    assert workload.groups_over(60_000, DEFINITION) == {("group:rack-0", 60_000), ("group:rack-1", 60_000)}
    assert workload._replace(readings=10 * 300).groups_over(60_000, DEFINITION) == set()


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("series", [10, 1000, 10_000])
def test_no_member_of_a_workload_is_too_late(series, shuffled):
    """Any series' window has been closed by its own readings when any reading is beyond it by the group's lateness."""
    workload = Workload(series, 0, shuffled, groups=10)
    steps = np.arange(0, 20_000, workload.step_ms)
    first_beyond = steps[steps >= 2000 + workload.group_lateness_ms][0]  # by the steps: readings are never ahead
    jitter = JITTER_MS if shuffled else 0
    closed = steps[steps - jitter >= 2000 + workload.lateness_ms][0]  # by then at the latest
    assert closed < first_beyond


def test_a_run_begins_when_the_spout_of_readings_does():
    line = "2026-11-25 23:37:54.{} o.a.s.s.ShellSpout [INFO] ShellLog pid:7, name:{} - partition 0 from offset 0\n"
    found = _TAKEN_ON.search(line.format(100, "members 23:37") + line.format(200, "readings 23:37"))
    assert found is not None
    assert found[1] == "2026-11-25 23:37:54.200"


WINDOWS = {
    ("rack-0/bench-0", 0, None): (3, 2.0, 0.1),
    ("rack-0/bench-2", 0, None): (1, 6.0, 0.0),
    ("rack-0/bench-0", 2000, None): (2, 1.0, 0.0),
    ("rack-1/bench-1", 0, None): (4, -7.0, 2.0),
    ("rack-0/bench-0", 1500, 40.0): (2.0, 0.1),
}


def test_what_is_expected_of_groups_is_of_windows_that_are_over():
    over = {("group:rack-0", 0), ("group:rack-1", 0)}
    assert expected_groups(WINDOWS, over) == {("group:rack-0", 0, None): (2, 3.0), ("group:rack-1", 0, None): (1, -7.0)}


windows_of_members = st.lists(
    st.tuples(st.sampled_from([0, 2000]), st.integers(1, 9), st.floats(-1e6, 1e6)), min_size=1, max_size=20
)


@given(windows_of_members, st.integers(1, 20))
def test_what_peers_tell_last_is_what_is_expected(rows, size):
    """However the windows come in batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        import groups
    sys.modules.pop("groups")
    state, told = groups.State(), {}
    windows = [
        {"series": f"rack-3/bench-{number}", "start": start, "count": count, "mean": mean}
        for number, (start, count, mean) in enumerate(rows)
    ]
    for at in range(0, len(windows), size):
        for row in groups.merge(state, groups.group_of("rack-3/bench-3"), windows[at : at + size]):
            told[row["series"], row["start"], None] = row["members"], row["mean"]
    given = {(row["series"], row["start"], None): (row["count"], row["mean"], 0.0) for row in windows}
    expected = expected_groups(given, {("group:rack-3", 0), ("group:rack-3", 2000)})
    assert told.keys() == expected.keys()
    for key, (members, mean) in expected.items():
        assert told[key] == (members, pytest.approx(mean, rel=1e-9, abs=1e-6))


class _Log:
    """A consumer whose topic gets more with each look."""

    def __init__(self, *looks: list[Record]) -> None:
        self._looks = list(looks)
        self.part = TopicPartition("t", 0)
        self._end = self._at = 0

    def assignment(self) -> set[TopicPartition]:
        return {self.part}

    def end_offsets(self, _: object) -> dict[TopicPartition, int]:
        if self._looks:
            self._end += len(self._looks[0])
        return {self.part: self._end}

    def position(self, _: TopicPartition) -> int:
        return self._at

    def poll(self, _: float) -> dict[TopicPartition, list[Record]]:
        self._at = self._end
        return {self.part: self._looks.pop(0)}


def told(offset: int, start: int, members: int, mean: float) -> Record:
    value = {"series": "group:rack-0", "start": start, "members": members, "mean": mean}
    return Record(offset, 1000 * (offset + 1), True, b"group:rack-0", json.dumps(value).encode())


EXPECTED = {("group:rack-0", 0, None): (2, 3.0)}


def test_the_last_that_is_told_counts(monkeypatch):
    monkeypatch.setattr(group_results, "_LOOK_SECONDS", 0.0)
    beyond = told(2, start=2000, members=1, mean=8.0)  # nobody says that it is whole
    log = _Log([told(0, 0, 1, 2.0)], [told(1, 0, 2, 3.0), beyond])
    assert GroupResults(log, EXPECTED, 2).wait(lambda: None) == 2.0


def test_a_derived_reading_says_that_no_member_lacks(monkeypatch):
    monkeypatch.setattr(group_results, "_LOOK_SECONDS", 0.0)
    value = derived.encode("oda", "group:rack-0", 0, 3.0)
    other = Record(0, 7000, True, b"rack-0/bench-0", b"{}")
    assert GroupResults(_Log([other, Record(1, 2000, True, derived.KEY, value)]), EXPECTED, 2).wait(lambda: None) == 2.0


def test_groups_that_differ_are_told(monkeypatch):
    monkeypatch.setattr(group_results, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(group_results, "STALLED_SECONDS", 0.0)
    with pytest.raises(UserError, match="1 of 1 rows have other figures"):
        GroupResults(_Log([told(0, 0, 1, 3.0)]), EXPECTED, 2).wait(lambda: None)


def test_figures_of_before_there_were_groups_are_of_none():
    assert msgspec.json.decode(b"[100,1000000,false]", type=Workload) == Workload(100, 1_000_000)
