"""The audit's twins of the detectors say what the detectors say, to the last bit."""

from __future__ import annotations

import struct
from math import inf

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oda.audit.detectors import TWINS, BandTwin, ScoreTwin, WindowTwin, score
from oda.core.bands import anomaly
from oda.core.detectors import installed, load
from oda.core.detectors.contract import Band, BandDetector, WindowDetector
from oda.core.kinds import ClosedWindow
from oda.core.rules.rule import Watch

TAIL_SIGMAS = st.sampled_from([4.0, 3.0, 0.5, 1e-9, 8.5, 37.0]) | st.floats(0.1, 10)
SIGMAS = st.sampled_from([60.0, 1e300]) | TAIL_SIGMAS
SCALES = st.sampled_from([1.0, 5e-324, 1e-170, 1e-30, 0.1, 1e6, 1e99])


def bits(said):
    return None if said is None else struct.pack(f"{len(said)}d", *said)


def parameters(name, **fields):
    return st.fixed_dictionaries(fields).map(lambda chosen: load(name).Parameters(**chosen))


def test_every_detector_of_oda_has_a_twin_of_its_kind():
    own = {name: load(name) for name, point in installed().items() if point.value.startswith("oda.")}
    kinds = {BandTwin: BandDetector, WindowTwin: WindowDetector}
    assert own.keys() == TWINS.keys()
    for name, twin in TWINS.items():
        kind = next((its for of, its in kinds.items() if issubclass(twin, of)), None)
        assert issubclass(own[name], kind) if kind else issubclass(twin, ScoreTwin)


# -- windows ---------------------------------------------------------------------------------------


@st.composite
def histories(draw):
    """Closed windows of a series: a few levels and spreads, each for a while, noise on both, gaps, silences."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([0, 1, 100, 60_000, 3_600_000]))  # 0: each reading is a window
    start, windows = draw(st.integers(0, 2**41)), []
    for _ in range(draw(st.integers(1, 5))):
        level = draw(st.sampled_from([0.0, -0.0, 0.1, 1.0, -7.3, 1e100, -1e100, 5e-324]) | st.floats(-1e100, 1e100))
        around, spread = draw(st.just(0.0) | SCALES), draw(st.just(0.0) | SCALES)
        most, unsteady = draw(st.sampled_from([1, 2, 5, 60, 10_000])), draw(st.booleans())
        for _ in range(draw(st.integers(1, 40))):
            start += max(size, 1) * int(random.choice([1, 2, 30], p=[0.9, 0.08, 0.02]))
            count = int(random.integers(1, most + 1)) if unsteady and size else most if size else 1
            mean = min(max(level + around * random.normal(), -1e100), 1e100)
            stddev = spread * random.chisquare(1) if count > 1 else 0.0
            by = str(random.choice(["data", "clock"], p=[0.95, 0.05]))
            windows.append(ClosedWindow("s", start, start + size, count, mean, stddev, 7, 9, 11, by, 0))
    return windows


def constant(value, number, count=3, stddev=0.0):
    return [ClosedWindow("s", at, at + 1, count, value, stddev, at, at, at, "data", 0) for at in range(number)]


def agree(name, chosen, windows):
    detector, twin = load(name)(chosen), TWINS[name](chosen)
    state = detector.State()
    said = []
    for window in windows:
        if isinstance(twin, BandTwin):
            theirs, ours = detector.update(state, window), twin.learn(window)
        else:
            theirs, ours = detector.check(state, window), twin.look(window)
        assert bits(theirs) == bits(ours)
        said.append(ours)
    return said


LEAST = st.sampled_from([0.0, 1e-9, 1.0, 1e50, 1e200])


@given(parameters("sigma/1", sigmas=SIGMAS, min_count=st.integers(1, 9), min_stddev=LEAST), histories())
def test_sigma(chosen, windows):
    agree("sigma/1", chosen, windows)


@given(parameters("student/1", sigmas=TAIL_SIGMAS, min_count=st.integers(2, 9)), histories())
def test_student(chosen, windows):
    agree("student/1", chosen, windows)


@given(
    parameters(
        "robust/1", sigmas=TAIL_SIGMAS, windows=st.integers(3, 25), min_windows=st.integers(3, 9), outlier=SIGMAS
    ),
    histories(),
)
def test_robust(chosen, windows):
    agree("robust/1", chosen, windows)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 20])
def test_robust_at_its_limit(count):
    chosen = load("robust/1").Parameters(outlier=1e-9)  # what is above the median is left out
    assert agree("robust/1", chosen, constant(1.0, 12, count, stddev=1.0))[-1] is not None


@given(
    parameters(
        "seasonal/1",
        sigmas=TAIL_SIGMAS,
        period=st.sampled_from([1, 100, 86_400_000]),
        phases=st.integers(1, 60),
        min_periods=st.integers(1, 3),
        memory=st.sampled_from([1.0, 2.5, 10.0, 1e9]),
    ),
    histories(),
)
def test_seasonal(chosen, windows):
    agree("seasonal/1", chosen, windows)


@given(parameters("stuck/1", readings=st.integers(2, 200)), histories())
def test_stuck(chosen, windows):
    agree("stuck/1", chosen, windows)


@given(histories())
def test_silent(windows):
    agree("silent/1", load("silent/1").Parameters(), windows)


LEVEL = {
    "sigmas": TAIL_SIGMAS,
    "recent": st.integers(2, 9),
    "before": st.integers(2, 40),
    "min_before": st.integers(2, 12),
}


@given(parameters("level/1", **LEVEL), histories())
def test_level(chosen, windows):
    for finding in agree("level/1", chosen, windows):
        assert finding is None or np.isfinite(finding).all()


@given(
    parameters(
        "rate/1", sigmas=TAIL_SIGMAS, windows=st.integers(2, 70), min_windows=st.integers(2, 12), min_stddev=LEAST
    ),
    histories(),
)
def test_rate(chosen, windows):
    for finding in agree("rate/1", chosen, windows):
        assert finding is None or np.isfinite(finding).all()


@pytest.mark.parametrize("value", [0.1, -7.3, 1e100 / 3, 1e-300])
@pytest.mark.parametrize("number", [5, 30, 500])
def test_a_level_that_stays_is_no_change(value, number):
    chosen = load("level/1").Parameters(recent=number, before=number, min_before=2)
    assert agree("level/1", chosen, constant(value, 3 * number)) == [None] * (3 * number)


# -- readings --------------------------------------------------------------------------------------

ALARMS = {
    "threshold": st.sampled_from([1e-9, 1.0]) | st.floats(0.05, 4.5),  # so low that every score is seen
    "warm_up": st.integers(0, 200),
    "rest": st.sampled_from([0, 1, 120]),
    "fatigue": st.sampled_from([0.0, 0.1, 0.75, 1e300]),
    "recovery": st.sampled_from([1e-300, 1.0, 2500.0]),
}


def story(draw, random):
    """Values of a series: constants, noise, waves, jumps, one after the other."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        at = np.arange(draw(st.sampled_from([1, 7, 60, 300])))
        level = draw(st.sampled_from([0.0, -0.0, 0.1, 1e100, -1e100, 5e-324]) | st.floats(-1e100, 1e100))
        scale, wave = draw(st.just(0.0) | SCALES), draw(st.just(0.0) | SCALES)
        shape = scale * random.normal(size=len(at)) + wave * np.sin(at)
        parts.append(np.clip(level + shape if shape.any() else np.full(len(at), level), -1e100, 1e100))
    return np.concatenate(parts)


@st.composite
def logs(draw):
    """Of several series, with readings interleaved at random: whose each is, its value; where the log is cut."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    series = [story(draw, random) for _ in range(draw(st.integers(1, 5)))]
    which = random.permutation(np.repeat(np.arange(len(series)), [len(values) for values in series]))
    values = np.empty(len(which))
    for number, its in enumerate(series):
        values[which == number] = its
    return which, values, sorted(draw(st.lists(st.integers(0, len(which)), max_size=8)))


def agree_on_each(name, chosen, which, values, cuts):
    detector = load(name)(chosen)
    number = int(which.max()) + 1
    states, twins = [detector.State() for _ in range(number)], [TWINS[name](chosen) for _ in range(number)]
    alarms = 0
    for first, last in zip([0, *cuts], [*cuts, len(which)], strict=True):
        scored = detector.score(states, which[first:last], values[first:last])
        rows = zip(*(column.tolist() for column in scored), strict=True)
        for one, value, row in zip(which[first:last].tolist(), values[first:last].tolist(), rows, strict=True):
            ours = twins[one].read(value)
            assert bits(row) == bits(ours)
            alarms += ours[0]
    return alarms


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore:overflow encountered in divide")
@given(parameters("d1/1", **ALARMS), logs())
def test_d1(chosen, log):
    agree_on_each("d1/1", chosen, *log)


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore:overflow encountered in divide")
@settings(max_examples=40)
@given(parameters("d5/1", **ALARMS), logs())
def test_d5(chosen, log):
    agree_on_each("d5/1", chosen, *log)


def test_long_runs():
    """So long that d5 has forgotten blocks; in parts of it the nearest neighbour is the oldest that it still knows."""
    random = np.random.default_rng(4)
    repeated = [np.tile(random.normal(size=readings * (512 - blocks)), 2) for readings, blocks in ((2, 4), (4, 8))]
    values = np.r_[*repeated, np.full(300, 0.1), random.normal(5, 1, 200)]
    for name in ("d1/1", "d5/1"):
        chosen = load(name).Parameters(threshold=1e-9, warm_up=0, rest=0, fatigue=0.0)
        assert agree_on_each(name, chosen, np.zeros(len(values), np.intp), values, [5000]) > len(values) / 2


@pytest.mark.parametrize("name", ["d1/1", "d5/1"])
def test_what_never_varied(name):
    values = np.r_[np.full(60, 0.1), np.random.default_rng(4).normal(size=60)]
    chosen = load(name).Parameters(threshold=1e-9, warm_up=0, rest=0, fatigue=0.0)
    assert agree_on_each(name, chosen, np.zeros(len(values), np.intp), values, []) == 60


# -- scores ----------------------------------------------------------------------------------------


@given(
    st.floats(-2e100, 2e100) | st.floats(-9, 9),
    st.sampled_from([0.0, 5e-324]) | st.floats(0, 1e101) | st.floats(0.5, 2),
    st.sampled_from([inf, 1.0, 2.0, 3.0, 30.0, 1e6]),
)
@example(0.0, 0.0, inf)
def test_scores(distance, scale, freedom):
    band = Band(0.0, scale, 0.0, 0.0, freedom)
    row = anomaly("s", 0, 0, distance, band, None, Watch("x", load("silent")(load("silent").Parameters())), 0)
    assert bits([row.score]) == bits([score(distance, scale, freedom)])
