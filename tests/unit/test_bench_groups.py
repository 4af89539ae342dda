"""The benchmarks of groups: their rule gives each series its group, and no member of a workload is too late."""

from __future__ import annotations

import numpy as np
import pytest

import made
from oda.bench.group_latency import Seen, windows
from oda.bench.group_rule import rule
from oda.bench.group_throughput import over
from oda.bench.throughput import _TAKEN_ON
from oda.bench.workload import JITTER_MS, Workload, series_name
from oda.core.groups.definition import Definition
from oda.core.rules.parse import parse

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
    assert over(DEFINITION, workload, 60_000) == {("group:rack-0", 60_000), ("group:rack-1", 60_000)}
    assert over(DEFINITION, workload._replace(readings=10 * 300), 60_000) == set()


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
