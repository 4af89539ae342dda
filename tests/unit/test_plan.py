"""The capacity model: it gives back what it was fitted to, and a plan that bears its demand."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from oda.cli.main import app
from oda.errors import UserError
from oda.plan.demand import Demand, Density
from oda.plan.groups import load
from oda.plan.measured import CostRun, GroupRun, NodeRun, ScaleRun
from oda.plan.model import BUSY, COMPONENTS, MACHINE_CORES, SERVED, SNAPSHOTS, Model

PROCESSES = (*COMPONENTS, "worker", "kafka server", "cassandra server", "elasticsearch server")


def run(series: int, windows: float, seconds: float) -> CostRun:
    """Each process takes 2 us a reading and 10 us a window; each store 50 bytes and 200. Snapshots: 3 us a series."""
    readings = 1_000_000
    cpu = dict.fromkeys(PROCESSES, readings * (2e-06 + 1e-05 * windows))
    return CostRun(
        series,
        readings,
        windows * readings,
        seconds,
        cpu | {name: cpu[name] + 3e-06 * series * seconds for name in SNAPSHOTS},
        dict.fromkeys(("windows", "anomalies"), 40 + series * 512 / 2**20),
        {name: int(readings * (50 + 200 * windows)) for name in ("kafka", "cassandra", "elasticsearch")},
    )


RUNS = [run(100, 0.005, 10), run(10_000, 0.05, 30), run(100_000, 0.5, 500)]


def scaled(*rates: float) -> list[ScaleRun]:
    """Readings a second of one worker with a quarter of a core, of two, ..."""
    return [ScaleRun(100, workers, 0.25, int(100 * rate), 100, 25 * workers) for workers, rate in enumerate(rates, 1)]


def of_groups(number: int, told: float, merged: float) -> GroupRun:
    """A member's window takes 100 bytes in the log, 200 where it waits, and 1 µs to be read, and to be saved."""
    return GroupRun(1000, number, told, 1, merged, 100, 100, 2000, 200, 40, 1)


GROUPS = [of_groups(100, 2, 4), of_groups(1, 1, 5)]
MODEL = Model(RUNS, scaled(10_000, 20_000, 30_000), GROUPS)


@pytest.mark.parametrize("windows", [0.0, 0.1, 1.0])
def test_it_is_linear_in_the_windows_of_a_reading(windows):
    density = Density(windows, 0.0)
    assert MODEL.cpu("windows", density) == pytest.approx(2e-6 + 10e-6 * windows)
    assert MODEL.disk("kafka", density) == pytest.approx(50 + 200 * windows)
    assert MODEL.bytes_per_series == pytest.approx(1024)


def test_snapshots_cost_by_the_second():
    dense, sparse = Demand(100_000, 50_000, 1).density, Demand(100_000, 1_000, 1).density
    assert MODEL.cpu("windows", dense) == pytest.approx(2e-6 + 10e-6 + 3e-6 * 2)
    assert MODEL.cpu("windows", sparse) == pytest.approx(2e-6 + 10e-6 + 3e-6 * 100)
    assert MODEL.cpu("anomalies", sparse) == MODEL.cpu("windows", sparse)
    assert MODEL.cpu("elasticsearch", sparse) == pytest.approx(2e-6 + 10e-6)


def test_a_small_load_needs_one_executor_each_and_three_nodes():
    plan = MODEL.plan(Demand(100, 1000, 1))
    assert set(plan.executors.values()) == {1}
    assert (plan.workers, plan.partitions) == (1, 3)
    assert plan.nodes == {"kafka": 3, "cassandra": 3, "elasticsearch": 2}


def test_a_large_load_fits_what_is_planned_for_it():
    demand = Demand(10_000_000, 5_000_000, 30)
    plan = MODEL.plan(demand)
    cores = MODEL.cpu("kafka", demand.density) * demand.rate
    assert cores <= plan.executors["kafka"] * BUSY
    assert MODEL.cpu("windows", demand.density) * demand.rate <= plan.executors["windows"] * BUSY
    assert len(COMPONENTS) * cores <= plan.workers * MACHINE_CORES * BUSY
    assert {executors % plan.workers for executors in plan.executors.values()} == {0}
    assert plan.partitions >= 2 * plan.executors["windows"]
    assert plan.disk["kafka"] == pytest.approx(250 * 5e6 * 86_400 * 30 * 3)


def test_workers_that_are_held_up_by_each_other_are_more():
    # Half a reading's cost more where workers are many: 1.25 times with two, 1.33 times with three.
    held_up = Model(RUNS, scaled(10_000, 20_000 / 1.25, 30_000 / (1 + 0.5 * 2 / 3)), GROUPS)
    assert held_up.apart == pytest.approx(0.5, rel=1e-3)
    demand = Demand(10_000_000, 5_000_000, 30)
    assert MODEL.apart == 0
    assert held_up.plan(demand).workers == pytest.approx(1.5 * MODEL.plan(demand).workers, rel=0.05)
    assert held_up.plan(Demand(100, 1000, 1)).workers == 1


def test_two_workers_that_do_more_than_twice_as_much_are_taken_for_noise():
    assert Model(RUNS, scaled(10_000, 22_000, 33_000), GROUPS).apart == 0


def written(store: str, *rows: float, of_all_copies: float) -> list[NodeRun]:
    """Rows a second of one node with a quarter of a core, of two, of three; and of three with all copies."""
    cases = [(1, 1), (2, 1), (3, 1), (3, SERVED[store])]
    return [
        NodeRun(store, *case, 0.25, int(100 * each), 100, 25 * case[0])
        for case, each in zip(cases, (*rows, of_all_copies), strict=True)
    ]


def test_a_copy_that_costs_less_than_the_first_takes_fewer_nodes():
    # A half of a row's cost for each of two further copies: three nodes do as much as one and a half without copies.
    cheap = written("kafka", 10_000, 20_000, 30_000, of_all_copies=15_000)
    held_up = written("cassandra", 10_000, 16_000, 22_500, of_all_copies=7_500)
    model = Model(RUNS, [], GROUPS, [*cheap, *held_up])
    assert model.spread["kafka"] == pytest.approx((0.0, 0.5))
    assert model.spread["cassandra"] == pytest.approx((0.5, 1.0))
    assert model.spread["elasticsearch"] == (0.0, 1.0)  # it was not measured
    demand = Demand(10_000_000, 5_000_000, 0.01)
    found, before = model.plan(demand).nodes, MODEL.plan(demand).nodes
    assert found["kafka"] == pytest.approx(before["kafka"] * 2 / 3, rel=0.05)
    assert found["cassandra"] == pytest.approx(before["cassandra"] * 1.5, rel=0.05)
    assert found["elasticsearch"] == before["elasticsearch"]


def test_a_series_has_at_most_one_window_for_each_reading():
    assert Demand(10_000_000, 1000, 1).density.windows == 1
    assert Demand(100, 10_000, 1).density.windows == 0.005


def test_what_groups_make_is_planned_for_as_readings_of_series_more():
    # Each series has a window of 2 s; so has each group, which makes a reading of it.
    assert Demand(100_000, 100_000, 1, groups=1000, members=100).with_derived == Demand(101_000, 100_500, 1)
    # With a reading in 100 s a series has a window for each; a group of two has not more readings than these.
    assert Demand(100, 1, 1, groups=50, members=2).with_derived == Demand(150, 2, 1)
    assert Demand(100, 1, 1, groups=10, members=3).members_windows == pytest.approx(0.3)


def test_a_plan_without_groups_has_no_executors_of_theirs():
    plan = MODEL.plan(Demand(100, 1000, 1))
    assert set(plan.executors) == set(COMPONENTS)
    assert plan.waiting == 0
    assert set(MODEL.plan(Demand(100, 1000, 1, groups=1, members=100)).executors) == {*COMPONENTS, "groups"}


def test_groups_take_executors_a_log_and_memory_by_their_members_windows():
    # 500,000 members' windows a second, each of which waits for the group's window of 2 s and its lateness of 10 s.
    demand = Demand(1_000_000, 1_000_000, 30, groups=10_000, members=100)
    with_groups, without = MODEL.plan(demand), MODEL.plan(demand.with_derived)
    # As either of the measured runs took the most; snapshots of what waits are every 2 s.
    merging = 500_000 * 5e-6 + 6_000_000 / 2 * 1e-6
    assert merging <= with_groups.executors["groups"] * BUSY < merging + with_groups.workers
    assert with_groups.waiting == pytest.approx(6_000_000 * 200)
    assert with_groups.disk["kafka"] - without.disk["kafka"] == pytest.approx(500_000 * 100 * 86_400 * 30 * 3)
    assert with_groups.disk["cassandra"] == without.disk["cassandra"]
    told = 500_000 * 2e-6
    assert with_groups.executors["kafka"] >= without.executors["kafka"] + told / BUSY - with_groups.workers
    assert with_groups.workers * MACHINE_CORES * BUSY >= without.workers + merging + told + 500_000 * 1e-6


def test_who_is_of_two_groups_counts_for_both():
    one = MODEL.plan(Demand(1000, 1000, 1, groups=10, members=100))
    two = MODEL.plan(Demand(1000, 1000, 1, groups=20, members=100))
    assert two.waiting == pytest.approx(2 * one.waiting)


def test_a_group_that_is_too_large_for_one_executor_is_refused():
    with pytest.raises(UserError, match="one group would take"):
        MODEL.plan(Demand(1_000_000, 1_000_000, 1, groups=1, members=1_000_000))
    MODEL.plan(Demand(1_000_000, 1_000_000, 1, groups=1_000, members=1_000))


def test_of_a_large_group_snapshots_are_rarer():
    # 50,000 members' windows a second, of which 600,000 wait: 24 MB, so a snapshot each 5 s, though that is > 4 MiB/s.
    demand = Demand(100_000, 50_000, 1, groups=1, members=100_000)
    assert load(GROUPS, demand).largest == pytest.approx(50_000 * 5e-6 + 600_000 / 5 * 1e-6)
    # Of each of two halves 12 MB.
    halves = load(GROUPS, demand._replace(groups=2, members=50_000))
    assert halves.merged == pytest.approx(50_000 * 5e-6 + 600_000 / (12e6 / 2**22) * 1e-6)


LOAD = ("plan", "--series", "100000", "--rate", "50000", "--retention", "30")


def test_the_command_plans_for_groups_if_there_are_any():
    without, some, most = (
        CliRunner().invoke(app, [*LOAD, *groups], catch_exceptions=False).output
        for groups in ((), ("--groups", "1000"), ("--groups", "1000", "--members", "1000"))
    )
    assert "oda.parallelism.groups" not in without
    assert "groups bolts" not in without
    assert "oda.parallelism.groups" in some
    assert "groups bolts" in some
    assert some != most


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--members", "100"), "--groups"),
        (("--groups", "10", "--members", "100001"), "lower --members"),
        (("--groups", "1", "--series", "10000000", "--rate", "90000000"), "executor"),
    ],
)
def test_the_command_refuses_groups_that_can_not_be(options, said):
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(app, [*LOAD, *options], catch_exceptions=False)
