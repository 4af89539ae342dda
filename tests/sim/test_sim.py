"""The real components under simulation: the same seeds each time, and some that nobody has tried before."""

import time

import pytest

from sim.run import failure
from sim.simulation import Simulation

FIXED = 100
NEW = 200


def assert_clean(seeds: range) -> None:
    for seed in seeds:
        if found := failure(seed):
            _, error, timeline = found
            pytest.fail("\n".join([*timeline, error, f"Again: python tests/sim/run.py --seed {seed}"]), pytrace=False)


def test_seeds_that_are_the_same_each_time():
    assert_clean(range(FIXED))


def test_seeds_that_nobody_has_tried_before():
    first = time.time_ns() // 1_000_000
    assert_clean(range(first, first + NEW))


def test_a_seed_repeats_exactly():
    first, second = Simulation(7), Simulation(7)
    first.run()
    second.run()
    assert first.events.timeline == second.events.timeline
    assert first.topic.records == second.topic.records


def test_what_must_not_happen_is_found(monkeypatch):
    """See `mutations.py` for one rule after the other."""
    monkeypatch.setattr("oda.core.progress.Progress.committable", property(lambda self: self.position))
    assert any(failure(seed) for seed in range(20))
