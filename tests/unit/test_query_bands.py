"""What was allowed to readings, from windows and rules."""

from math import inf

import numpy as np
import pytest

from made import settings
from oda.core.batch import Batch, Closings, Readings, RuleMark
from oda.core.judgement import Judgement
from oda.core.kinds import ClosedWindow
from oda.core.reading import Reading
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.core.windows import PartitionWindows
from oda.query.bands import derived, is_enough, scored, stored, stretches
from oda.query.reduced import Reduced, Span
from oda.query.rules import Mark, RulesInLog
from oda.query.traced import Traced, fewer
from oda.settings import Window
from oda.stores.archive import Columns

SETTINGS = settings(window=Window(size_ms=1000))
OPTIONS = of_options(SETTINGS)


def rules(version: int, detectors: str, more: str = "") -> Rules:
    return parse(f"rules: [{{series: '*', {more} detectors: [{detectors}]}}]", SETTINGS, version)


def window(start: int, closed_at: int, mean: float = 5.0, by: str = "data", count: int = 9) -> ClosedWindow:
    return ClosedWindow("a", start, start + 1000, count, mean, 1.0, 0, closed_at - 1, closed_at, by, 0)


def test_a_window_holds_from_the_record_that_closed_it_on():
    found = stretches("a", [window(1000, 20, 2.0), window(0, 10, 1.0)], [], OPTIONS)
    assert [(one.since, one.window.mean) for one in found] == [(10, 1.0), (20, 2.0)]


def test_of_windows_that_one_record_closes_the_latest_counts():
    found = stretches("a", [window(2000, 10, 3.0), window(0, 10, 1.0), window(1000, 10, 2.0)], [], OPTIONS)
    assert [(one.since, one.window.mean) for one in found] == [(10, 3.0)]


def test_other_rules_hold_for_the_same_window_and_others_windows_begin_anew():
    other, anew = rules(3, "{use: sigma, sigmas: 2}"), rules(9, "{use: sigma}", "window: {size: 5s},")
    marks = [Mark(15, 0, other), Mark(25, 0, anew)]
    closings = [window(0, 10, 1.0), window(1000, 20, 2.0), window(2000, 25, 3.0, by="rules"), window(5000, 40, 4.0)]
    found = stretches("a", closings, marks, OPTIONS)
    assert [(one.since, one.window and one.window.mean, one.rules.version) for one in found] == [
        (10, 1.0, 0),
        (15, 1.0, 3),
        (20, 2.0, 3),
        (25, None, 9),
        (40, 4.0, 9),
    ]


def test_what_a_direction_does_not_mind_has_no_bound_and_least_widens():
    high = rules(1, "{use: sigma, direction: high}").of("a")
    assert [(one.low, one.high) for one in derived(high, window(0, 1))] == [(None, 9.0)]
    low = rules(1, "{use: sigma, direction: low}").of("a")
    assert [(one.low, one.high) for one in derived(low, window(0, 1))] == [(1.0, None)]
    least = rules(1, "{use: sigma, least: {absolute: 100}}").of("a")
    assert [(one.low, one.high) for one in derived(least, window(0, 1))] == [(-95.0, 105.0)]
    assert derived(least, window(0, 1, count=1)) == []
    assert derived(least, None) == []


def test_only_what_follows_from_a_window_is_derived():
    rule = rules(1, "{use: student}, {use: robust}, {use: d1}, {use: stuck}").of("a")
    assert [one.detector for one in derived(rule, window(0, 1))] == ["student/1"]
    assert scored(rule) == ["d1/1"]
    each = rules(1, "{use: robust}", "window: each,").of("a")
    assert derived(each, window(0, 1)) == []


@pytest.mark.parametrize(
    ("detectors", "count", "enough"),
    [("{use: sigma}", 1, False), ("{use: sigma}", 2, True), ("{use: robust}", 1, True), ("{use: d1}", 1, True)],
)
def test_which_windows_are_enough(detectors, count, enough):
    assert is_enough(rules(1, detectors).of("a"), count) is enough


@pytest.mark.parametrize(
    "detector",
    [
        "{use: sigma, sigmas: 2}",
        "{use: student, sigmas: 2, least: {absolute: 0.5}}",
        "{use: robust, sigmas: 2, windows: 5, min_windows: 3}, {use: sigma, sigmas: 2, direction: high}",
        "{use: seasonal, sigmas: 2, period: 5s, phases: 5, min_periods: 1, direction: low}",
    ],
)
def test_the_bands_are_those_by_which_the_core_judged(detector):
    """An anomaly is where a reading lies outside of a band of its stretch, and nowhere else."""
    chosen, same, later = (rules(version, detector) for version in (1, 2, 3))
    later = rules(3, detector.replace("sigmas: 2", "sigmas: 3"))
    random = np.random.default_rng(1)
    count = 2_000
    readings = Readings.of(
        range(0, 2 * count, 2),
        [Reading("a", 50 * at + int(random.integers(0, 400)), float(random.normal())) for at in range(count)],
    )
    windows, judgement = PartitionWindows(SETTINGS), Judgement(SETTINGS)
    versions = {1: chosen, count // 2 + 1: same, count + 1: later}
    marks = [RuleMark(at, one.version, one.text) for at, one in versions.items()]
    batch = Batch(0, 0, 0, 0, 2 * count, 0, 0, readings, (), marks)
    windows.apply(batch)
    outputs = windows.outputs(batch)
    batch = batch._replace(closings=Closings.of(0, outputs))
    judgement.apply(batch)
    found = judgement.outputs(batch)
    anomalies = {(anomaly.offset, anomaly.detector) for anomaly in found["anomalies"]}
    assert len(anomalies) > 20

    in_log = [Mark(at, 0, one) for at, one in versions.items()]
    traced = Traced(stretches("a", outputs["closed"], in_log, OPTIONS), found["bands"])
    since, told = [part.since for part in traced.parts], traced.told_of("a")
    outside = set()
    for offset, value in zip(readings.offsets.tolist(), readings.values.tolist(), strict=True):
        at = int(np.searchsorted(since, offset, side="right")) - 1
        if at < 0:
            continue
        rule = traced.parts[at].rules.of("a")
        for allowed in (*derived(rule, traced.parts[at].window), *stored(rule, told[at])):
            low = -inf if allowed.low is None else allowed.low
            high = inf if allowed.high is None else allowed.high
            if not low <= value <= high:
                outside.add((offset, allowed.detector))
    assert outside == anomalies


def test_rules_hold_from_their_mark_on():
    first, second = rules(1, "{use: sigma}"), rules(5, "{use: student}")
    in_log = RulesInLog(OPTIONS, {2: [Mark(10, 0, first), Mark(20, 0, second)]})
    assert [in_log.at(2, offset).version for offset in (0, 9, 10, 19, 20, 99)] == [0, 0, 1, 1, 5, 5]
    assert in_log.at(3, 99).version == 0
    assert in_log.newest().version == 5


def columns(times: np.ndarray, values: np.ndarray) -> Columns:
    return Columns(np.arange(len(times)), times, values)


def test_what_is_reduced_has_the_extremes_and_counts_of_all():
    random = np.random.default_rng(2)
    span = Span(1_000, 21_000, 37)
    times, values = random.integers(1_000, 21_000, 5_000), random.normal(size=5_000)
    reduced = Reduced(span)
    for part in np.array_split(np.arange(5_000), 7):
        reduced.take(columns(times[part], values[part]))
    found = reduced.document()["reduced"]
    assert len(found["times"]) <= 37
    assert sum(found["counts"]) == 5_000
    assert min(found["lows"]) == values.min()
    assert max(found["highs"]) == values.max()
    for at, low, high, mean in zip(found["times"], found["lows"], found["highs"], found["means"], strict=True):
        own = values[(at <= times) & (times < at + span.step)]
        assert (own.min(), own.max()) == (low, high)
        assert own.mean() == pytest.approx(mean)


def test_no_more_readings_than_pixels_stay_as_they_are_by_time():
    reduced = Reduced(Span(0, 100, 10))
    reduced.take(columns(np.array([5, 3]), np.array([1.0, 2.0])))
    reduced.take(columns(np.array([4]), np.array([3.0])))
    assert reduced.document()["readings"] == {"times": [3, 4, 5], "values": [2.0, 3.0, 1.0]}
    assert Reduced(Span(0, 100, 10)).document()["readings"] == {"times": [], "values": []}


def test_fewer_bands_have_the_widest_bounds():
    bands = [
        {"since": at, "until": at + 1, "low": -float(at % 7), "high": None if at == 3 else float(at % 5)}
        for at in range(100)
    ]
    found = fewer(bands, Span(0, 100, 10))
    assert len(found) == 10
    assert {band["low"] for band in found} == {-6.0}
    assert found[5]["high"] == 4.0
    assert [band["until"] for band in found] == list(range(10, 101, 10))
    assert fewer(bands[:10], Span(0, 100, 10)) == bands[:10]
