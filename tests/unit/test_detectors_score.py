"""Detectors that score readings: against their formulas in plain Python, and however the log is cut."""

from __future__ import annotations

from math import copysign, exp, inf, sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.core.detectors import load

NAMES = ["d1/1", "d5/1"]


def detector(name):
    found = load(name)
    return found(found.Parameters(threshold=0.8, warm_up=60, rest=10, fatigue=0.2))


def restored(state):
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))


@st.composite
def cut_logs(draw):
    """Of several series: whose each reading is, its value, and where the log is cut."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    series, readings = draw(st.integers(1, 5)), draw(st.integers(1, 400))
    which = np.minimum(random.geometric(0.5, readings) - 1, series - 1)  # the first ones have most readings
    values = random.normal(size=readings) * 10.0 ** draw(st.integers(-30, 99))
    values[random.random(readings) < draw(st.sampled_from([0, 0.1, 1]))] = draw(st.sampled_from([0.0, 1e100, -7.25]))
    return series, which, values, sorted(draw(st.lists(st.integers(0, readings), max_size=8)))


@pytest.mark.parametrize("name", NAMES)
@given(cut_logs())
def test_results_do_not_depend_on_how_the_log_is_cut_nor_on_snapshots(name, log):
    series, which, values, cuts = log
    of = detector(name)
    states = [of.State() for _ in range(series)]
    whole = of.score(states, which, values)

    others, parts = [of.State() for _ in range(series)], []
    for first, last in zip([0, *cuts], [*cuts, len(which)], strict=True):
        present, here = np.unique(which[first:last], return_inverse=True)
        before = [restored(others[at]) for at in present]
        parts.append(of.score(before, here, values[first:last]))
        for at, state in zip(present, before, strict=True):
            others[at] = state
    for column, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        assert np.concatenate(pieces).tobytes() == column.tobytes()
    assert all(np.isfinite(column).all() for column in whole)
    assert [state.numbers for state in states] == [state.numbers for state in others]


@pytest.mark.parametrize("name", NAMES)
def test_each_series_is_on_its_own(name):
    """More series than are scored at once give what each gives alone."""
    random = np.random.default_rng(1)
    series, readings = 300, 130
    which = np.tile(np.arange(series), readings)
    values = random.normal(size=len(which)) + 20 * (random.random(len(which)) < 0.003)
    of = detector(name)
    together = of.score([of.State() for _ in range(series)], which, values)
    assert together.alarms.sum() > 10
    for one in (0, 127, 128, 299):
        mine = which == one
        alone = of.score([of.State()], np.zeros(readings, np.intp), values[mine])
        for column, own in zip(together, alone, strict=True):
            assert column[mine].tobytes() == own.tobytes()


class Moments:
    """`z` of the designs: of a value against its own past."""

    def __init__(self, memory, first=50):
        self.memory, self.first, self.n, self.mean, self.variance = memory, first, 0, 0.0, 0.0

    def z(self, value):
        distance, deviation = value - self.mean, max(sqrt(self.variance), 1e-9 * abs(self.mean))
        z = 0.0
        if self.n >= self.first and distance:
            z = distance / deviation if deviation else copysign(inf, distance)
        if self.n >= self.first and self.variance:
            distance = max(min(distance, 5 * deviation), -5 * deviation)
        self.n += 1
        gain = max(1 / self.n, 1 / self.memory)
        self.mean += gain * distance
        self.variance = (1 - gain) * (self.variance + gain * distance * distance)
        return z


def mean_over(values, readings):
    """The exponential means after each value."""
    mean, found = 0.0, []
    for n, value in enumerate(values, 1):
        mean += max(round(1 - exp(-1 / readings), 7), 1 / n) * (value - mean)
        found.append(mean)
    return found


def energies(values):
    slow = [values[0], *mean_over(values, 150)[:-1]]
    return [sqrt(e) for e in mean_over([(x - m) * (x - m) for x, m in zip(values, slow, strict=True)], 48)]


def nearest(values, readings, length):
    """The z of the distance of the latest window of block means, after each value."""
    moments, blocks, newest, found = Moments(5000 / readings, 6), [], 0.0, []
    for n, _ in enumerate(values, 1):
        if n % readings == 0:
            total = 0.0
            for value in values[n - readings : n]:
                total += value
            blocks = [*blocks, total / readings][-512:]
            if len(blocks) >= 2 * length:
                newest = moments.z(sqrt(_closest(blocks, length) / length))
        found.append(max(newest, 0.0))
    return found


def _closest(blocks, length):
    least, latest = inf, blocks[-length:]
    for at in range(len(blocks) - 2 * length + 1):
        total = 0.0
        for a, b in zip(reversed(latest), reversed(blocks[at : at + length]), strict=True):
            total += (a - b) * (a - b)
        least = min(least, total)
    return least


def plain_d1(values):
    moments = Moments(5000)
    return [min(abs(moments.z(q)), 4.0) for q in energies(values)]


def plain_d5(values):
    parts = [(plain_d1(values), 1.0)]
    for readings in (8, 16):
        moments = Moments(5000)
        parts.append(([min(abs(moments.z(mean)), 4.0) for mean in mean_over(values, readings)], 0.5))
    parts += [([min(z, 4.0) for z in nearest(values, *of)], weight) for of, weight in
              (((2, 4), 0.5), ((4, 8), 1.0), ((8, 8), 1.0))]  # fmt: skip
    scores = []
    for at in range(len(values)):
        total = 0.0
        for z, weight in parts:
            total += weight * (z[at] * z[at])
        scores.append(sqrt(total / 4.5))
    return scores


def alarms(scores, rules):
    fatigue, since = 0.0, inf
    for at, score in enumerate(scores, 1):
        fatigue, since = fatigue * (1 - round(1 - exp(-1 / rules.recovery), 7)), since + 1
        raised = score >= rules.threshold * (1 + rules.fatigue * fatigue) and at > rules.warm_up and since > rules.rest
        yield raised
        if raised:
            fatigue, since = fatigue + 1, 0


random = np.random.default_rng(3)
STORIES = {
    "noise, a step, waves, a flat line": np.r_[
        random.normal(size=700), random.normal(3, 1, 150), np.sin(np.arange(650)), np.full(100, 0.5)
    ],
    "a flat line of zeros with a spike and a step": np.r_[np.zeros(300), 1.0, np.zeros(200), np.ones(200)],
    "a flat line with a spike and a step": np.r_[np.full(300, 0.1), 1.0, np.full(200, 0.1), np.ones(200)],
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize(("name", "plain"), [("d1/1", plain_d1), ("d5/1", plain_d5)])
def test_alarms_are_those_of_the_formula(name, plain, story):
    values = STORIES[story]
    of = detector(name)
    found = of.score([of.State()], np.zeros(len(values), np.intp), values)
    expected = list(alarms(plain(values.tolist()), of.parameters))
    assert sum(expected) >= 2
    assert found.alarms.tolist() == expected
    assert ((found.scores > 0) == found.alarms).all()
