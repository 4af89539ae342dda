"""Detectors that know windows: what they say of series whose story is known, and that a snapshot changes nothing."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from math import inf
from subprocess import run

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from oda.bench.noise import NOISE, measure
from oda.core import detectors
from oda.core.detectors.contract import BandDetector, WindowDetector
from oda.core.detectors.tail import limit, of_variance, score_of, tail
from oda.core.kinds import ClosedWindow
from oda.errors import UserError

HOUR = 3_600_000


def make(name, **parameters):
    detector = detectors.load(name)
    return detector(detector.Parameters(**parameters))


def window(at=0, mean=10.0, stddev=1.0, count=20, closed_by="data", size=1000):
    return ClosedWindow("s", at * size, (at + 1) * size, count, mean, stddev, at, at, at + 1, closed_by, 0)


def all_of(detector, windows):
    """What a detector says of each window."""
    state = detector.State()
    say = detector.update if isinstance(detector, BandDetector) else detector.check
    return [say(state, one) for one in windows]


@pytest.mark.parametrize("freedom", [1, 2, 9, 10_000])
def test_whatever_sigmas_a_rule_may_have_there_is_a_threshold(freedom):
    most = detectors.load("student").Parameters(sigmas=37).sigmas
    assert limit(8.0, freedom) < limit(most, freedom) < inf
    for name in ("student", "robust", "seasonal", "level", "rate"):
        with pytest.raises(ValueError, match="at most 37"):
            make(name, sigmas=37.1)


def is_anomaly(band, value):
    return value - band.expected > band.above or band.expected - value > band.below


# -- all -------------------------------------------------------------------------------------------

windows = st.lists(
    st.tuples(
        st.floats(-1e100, 1e100) | st.sampled_from([0.0, 1.0, 2.0]),
        st.floats(0, 1e100) | st.just(0.0),
        st.integers(1, 1000),
        st.integers(1, 3),
        st.sampled_from(["data", "data", "clock"]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("name", [name for name in detectors.installed() if name not in ("d1/1", "d5/1")])
@given(windows, st.sets(st.integers(0, 60)))
def test_a_snapshot_changes_nothing(name, rows, snapshots):
    detector = make(name)
    say = detector.update if isinstance(detector, BandDetector) else detector.check
    whole, cut, at = detector.State(), detector.State(), 0
    for number, (mean, stddev, count, step, closed_by) in enumerate(rows):
        at += step
        if number in snapshots:
            cut = msgspec.msgpack.decode(msgspec.msgpack.encode(cut), type=detector.State)
        one = window(at, mean, stddev, count, closed_by, size=HOUR)
        assert repr(say(whole, one)) == repr(say(cut, one))
    assert msgspec.msgpack.encode(whole) == msgspec.msgpack.encode(cut)


def test_states_are_bounded():
    for name in detectors.installed():
        detector = make(name)
        if isinstance(detector, BandDetector | WindowDetector):
            state = detector.State()
            say = detector.update if isinstance(detector, BandDetector) else detector.check
            sizes = []
            for at in range(2000):
                say(state, window(at, mean=float(at % 7), size=HOUR))
                sizes.append(len(msgspec.msgpack.encode(state)))
            assert max(sizes[:500]) == pytest.approx(max(sizes[500:]), abs=8)  # a count may need more bytes


def test_detectors_of_one_type_with_equal_parameters_are_equal():
    assert make("student", sigmas=3) == make("student/1", sigmas=3.0)
    assert len({make("student", sigmas=3), make("student", sigmas=3.0), make("student"), make("sigma")}) == 3


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(UserError, match=r"'median'; there are .*robust/1.*docs/detectors\.md"):
        detectors.load("median")


@pytest.mark.parametrize(
    ("value", "why"),
    [("nowhere:Own", "can't be imported"), ("oda.core.detectors.sigma:Sigma", "is no Detector with the name")],
)
def test_a_broken_entry_point_is_named(monkeypatch, value, why):
    monkeypatch.setattr(detectors, "installed", lambda: {"own/1": EntryPoint("own/1", value, detectors.GROUP)})
    with pytest.raises(UserError, match=rf"own/1.*{why}"):
        detectors.load.__wrapped__("own")


def test_only_what_is_used_is_imported():
    code = "import sys; from oda.core.detectors import load; load('sigma'); print('scipy' in sys.modules)"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# -- probabilities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 1000])
def test_limits_are_as_rare_as_they_promise(freedom):
    for sigmas in (1.0, 3.0, 4.0, 6.0):
        assert 2 * stdtr(freedom, -limit(sigmas, freedom)) == pytest.approx(tail(sigmas), rel=1e-6)
        assert score_of(limit(sigmas, freedom), freedom) == pytest.approx(score_of(sigmas), abs=0.011)


def test_scores_are_decibels_of_improbability_up_to_100():
    assert score_of(0.0) == 0
    assert score_of(1.959964) == pytest.approx(13.01)  # 5 %
    assert score_of(inf) == score_of(50, 1000) == 100


def test_limits_of_variance_are_those_of_chi_square():
    assert of_variance(11, 0.95) * 11 == pytest.approx(18.307, abs=0.001)  # 10 degrees of freedom


# -- sigma, student --------------------------------------------------------------------------------


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.floats(-1e6, 1e6), st.floats(0, 1e5), st.integers(1, 5), st.floats(0.1, 6), st.floats(0, 10),
)  # fmt: skip
def test_sigma_judges_as_ever(values, mean, stddev, count, sigmas, least):
    one = window(0, mean, stddev, count)
    values = [*values, mean - sigmas * stddev, mean + sigmas * stddev]
    expected = [value for value in values if count >= 2 and abs(value - mean) > sigmas * max(stddev, least)]
    (band,) = all_of(make("sigma", sigmas=sigmas, min_stddev=least), [one])
    assert [value for value in values if band and is_anomaly(band, value)] == expected


@pytest.mark.parametrize("size", [2, 5, 50])
@pytest.mark.parametrize("name", ["student", "robust", "seasonal"])
def test_the_promised_rate_holds_in_normal_noise(name, size):
    """At 2 sigma, so that 50,000 readings are enough to see it."""
    detector = make(name, sigmas=2, **({"period": 48} if name == "seasonal" else {}))
    found = measure(detector, NOISE["normal"], 50_000, size)
    assert found.found / found.judged == pytest.approx(tail(2), rel=0.15)


# -- robust ----------------------------------------------------------------------------------------


def noise(windows, seed=1, count=20):
    random = np.random.default_rng(seed)
    for at in range(windows):
        values = random.normal(10, 1, count)
        yield window(at, float(values.mean()), float(values.std()), count)


def test_a_spike_in_the_baseline_does_not_hide_what_follows():
    spike = window(20, mean=60.0, stddev=200.0)
    after = [all_of(make(name), [*noise(20), spike])[-1] for name in ("student", "robust")]
    assert [is_anomaly(band, 20.0) for band in after] == [False, True]
    assert not is_anomaly(after[1], 13.0)


def test_a_new_level_becomes_the_baseline_when_most_windows_have_it():
    new = [window(20 + at, mean=50.0 + at % 3) for at in range(15)]
    bands = all_of(make("robust"), [*noise(20), *new])
    assert is_anomaly(bands[25], 50.0)
    assert not is_anomaly(bands[-1], 50.0)


def test_robust_is_silent_at_the_beginning():
    bands = all_of(make("robust", min_windows=7), noise(10))
    assert [band is None for band in bands] == [True] * 6 + [False] * 4


# -- seasonal --------------------------------------------------------------------------------------


def days(number, first=0):
    """A window an hour; high at noon."""
    random = np.random.default_rng(first)
    for at in range(first * 24, (first + number) * 24):
        values = random.normal(100.0 if at % 24 == 12 else 10.0, 1, 20)
        yield window(at, float(values.mean()), float(values.std()), size=HOUR)


def test_what_is_usual_at_noon_is_an_anomaly_at_night():
    bands = all_of(make("seasonal", phases=24), days(5))
    noon, night = bands[-13], bands[-1]  # each of the hour after its window
    assert (round(noon.expected), round(night.expected)) == (100, 10)
    assert is_anomaly(night, 100.0)
    assert is_anomaly(noon, 10.0)
    assert not is_anomaly(noon, 100.0)


def test_a_phase_is_judged_when_it_had_its_periods():
    bands = all_of(make("seasonal", phases=24, min_periods=3), days(4))
    assert [band is None for band in bands] == [True] * (2 * 24 + 23) + [False] * 25


def test_an_unusual_day_does_not_become_usual():
    unusual = [window(10 * 24 + at, mean=500.0, size=HOUR) for at in range(24)]
    bands = all_of(make("seasonal", phases=24), [*days(10), *unusual, *days(1, first=11)])
    assert is_anomaly(bands[-1], 500.0)
    assert is_anomaly(bands[-1], 100.0)


def test_what_never_varied_may_change():
    flat = [window(at, mean=1.0, stddev=0.0, size=HOUR) for at in range(24 * 5)]
    other = [window(at, mean=2.0, stddev=0.0, size=HOUR) for at in range(24 * 5, 24 * 40)]
    bands = all_of(make("seasonal", phases=24), [*flat, *other])
    assert is_anomaly(bands[len(flat)], 2.0)
    assert not is_anomaly(bands[-1], 2.0)


def test_a_period_is_a_length_of_time():
    assert make("seasonal", period="7d") == make("seasonal", period=7 * 24 * HOUR)


# -- stuck, silent, level, rate --------------------------------------------------------------------


def test_a_row_of_equal_readings_ends_with_another_value():
    values = [(1.0, 0.0), (1.0, 0.0), (1.5, 0.2), (1.0, 0.0), (2.0, 0.0), (2.0, 0.0), (2.0, 0.0)]
    findings = all_of(make("stuck", readings=60), [window(at, *of) for at, of in enumerate(values)])
    assert [finding and finding.value for finding in findings] == [None] * 6 + [60]


def test_silence_is_a_window_that_the_clock_closed():
    findings = all_of(make("silent"), [window(0), window(1, closed_by="clock"), window(5)])
    assert [finding is None for finding in findings] == [True, False, True]


def test_a_step_of_the_level_is_one_finding():
    steps = [window(at, mean=one.mean + (10 if at >= 40 else 0)) for at, one in enumerate(noise(100))]
    findings = all_of(make("level"), steps)
    (at,) = (at for at, finding in enumerate(findings) if finding)
    assert 40 < at <= 44
    assert findings[at].expected == pytest.approx(10, abs=0.3)
    assert findings[at].low < 10.3 < findings[at].high < findings[at].value


def test_more_or_fewer_readings_are_found_where_the_window_is_whole():
    counts = [5, *[20, 21, 19] * 10, 60, 20, 2]
    story = [window(at, count=count) for at, count in enumerate(counts)]
    gap = window(len(counts) + 7, count=1)  # the first after a pause
    end = window(len(counts) + 8, count=1, closed_by="clock")
    findings = all_of(make("rate"), [*story, gap, end])
    assert [at for at, finding in enumerate(findings) if finding] == [31]
    assert all_of(make("rate"), [*story[:31], window(31, count=2)])[-1].value == 2
