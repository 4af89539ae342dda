"""The capacity model: it gives back what it was fitted to, and a plan that bears its demand."""

from __future__ import annotations

import pytest

from oda.plan import BUSY, COMPONENTS, MACHINE_CORES, SNAPSHOTS, CostRun, Demand, Density, Model, ScaleRun

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
        {"windows": 40 + series * 1024 / 2**20},
        {name: int(readings * (50 + 200 * windows)) for name in ("kafka", "cassandra", "elasticsearch")},
    )


RUNS = [run(100, 0.005, 10), run(10_000, 0.05, 30), run(100_000, 0.5, 500)]


def scaled(*rates: float) -> list[ScaleRun]:
    """Readings a second of one worker with a quarter of a core, of two, ..."""
    return [ScaleRun(100, workers, 0.25, int(100 * rate), 100, 25 * workers) for workers, rate in enumerate(rates, 1)]


MODEL = Model(RUNS, scaled(10_000, 20_000, 30_000))


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
    held_up = Model(RUNS, scaled(10_000, 20_000 / 1.25, 30_000 / (1 + 0.5 * 2 / 3)))
    assert held_up.apart == pytest.approx(0.5, rel=1e-3)
    demand = Demand(10_000_000, 5_000_000, 30)
    assert MODEL.apart == 0
    assert held_up.plan(demand).workers == pytest.approx(1.5 * MODEL.plan(demand).workers, rel=0.05)
    assert held_up.plan(Demand(100, 1000, 1)).workers == 1


def test_two_workers_that_do_more_than_twice_as_much_are_taken_for_noise():
    assert Model(RUNS, scaled(10_000, 22_000, 33_000)).apart == 0


def test_a_series_has_at_most_one_window_for_each_reading():
    assert Demand(10_000_000, 1000, 1).density.windows == 1
    assert Demand(100, 10_000, 1).density.windows == 0.005
