"""A trial: what is found in a file is what a live system would find, however the file is cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made import settings
from oda.core.batch import Readings
from oda.core.reading import Reading
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.trial.clock import FileClock
from oda.trial.compare import compare
from oda.trial.found import Found
from oda.trial.hints import hints
from oda.trial.run import Trial, run

BEGIN = 1_700_000_000_000

WINDOWS = "window: {size: 1s, lateness: 500ms, idle: 700ms}"
RULES = [
    of_options(settings()),
    *(
        parse(f"rules: [{{series: '*', {rule}}}]", settings())
        for rule in (
            f"{WINDOWS}, detectors: [{{use: student, incident: {{quiet: 3s}}}}]",
            f"{WINDOWS}, detectors: [{{use: silent}}, {{use: sigma}}]",
            f"{WINDOWS}, lead: 5s, incident: {{open: {{anomalies: 2, of: 4}}}}",
            "window: each, detectors: [{use: robust}]",
        )
    ),
]

readings = st.lists(
    st.builds(
        Reading,
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.integers(0, 20_000), st.integers(0, 20_000), st.just(9_000_000)).map(lambda ms: BEGIN + ms),
        st.sampled_from([0.0, 1.0, 1.5, 100.0]),
    ),
    min_size=1,
    max_size=60,
)
orders = st.sampled_from([lambda reading: reading.time, lambda reading: reading.series, lambda _: 0])


class AlwaysAsked(FileClock):
    """Asked before each reading, as a clock that never rests."""

    def take(self, readings: Readings) -> tuple[np.ndarray, list[int]]:
        clock, _ = super().take(readings)
        return clock, list(range(len(clock)))


def cut(found: Sequence[Reading], size: int) -> list[Readings]:
    parts = (found[start : start + size] for start in range(0, len(found), size))
    return [Readings.of(range(len(part)), part) for part in parts]


@given(readings, orders, st.sampled_from(RULES), st.integers(1, 20))
def test_the_result_does_not_depend_on_how_the_file_is_cut(found, order, rules: Rules, size: int) -> None:
    found = sorted(found, key=order)
    whole, parts = (run(cut(found, one), settings(), rules, keep=True) for one in (len(found), size))
    assert (parts.anomalies, parts.incidents, parts.series) == (whole.anomalies, whole.incidents, whole.series)
    assert parts.windows == whole.windows


@given(readings, orders, st.sampled_from(RULES))
def test_it_is_what_is_found_when_the_clock_is_asked_before_each_reading(found, order, rules: Rules) -> None:
    part = cut(sorted(found, key=order), len(found))[0]
    trial = Trial(settings(), rules, keep=True)
    trial._clock = AlwaysAsked(rules)
    trial.take(part)
    expected, actual = trial.end(), run([part], settings(), rules, keep=True)
    assert (actual.anomalies, actual.incidents, actual.series) == (
        expected.anomalies,
        expected.incidents,
        expected.series,
    )


def of(*values: float, series: str = "a", step: int = 100, begin: int = BEGIN) -> list[Reading]:
    return [Reading(series, begin + number * step, value) for number, value in enumerate(values)]


def found_in(found: Sequence[Reading], rules: Rules) -> Found:
    return run(cut(found, 7), settings(), rules)


def test_without_rules_the_options_hold() -> None:
    found = found_in(of(*[1.0, 2.0] * 20, 9.0), of_options(settings()))
    [anomaly] = found.anomalies
    assert (anomaly.series, anomaly.time, anomaly.value) == ("a", BEGIN + 4000, 9.0)
    assert (anomaly.mean, anomaly.stddev, anomaly.detector) == (1.5, 0.5, "sigma/1")
    counts = found.series["a"]
    assert (counts.readings, counts.windows, counts.anomalies, counts.late) == (41, 3, 1, 0)


def test_a_series_is_silent_while_the_others_go_on_but_not_because_the_file_ends() -> None:
    rules = RULES[2]
    found = sorted([*of(*[1.0] * 100, series="a"), *of(*[1.0] * 10, series="b")], key=lambda reading: reading.time)
    assert [(one.series, one.detector) for one in found_in(found, rules).anomalies] == [("b", "silent/1")]


def test_series_one_behind_the_other_are_no_silence() -> None:
    found = [*of(*[1.0] * 100, series="a"), *of(*[1.0] * 100, series="b")]
    assert found_in(found, RULES[2]).anomalies == []


def test_an_incident_is_resolved_by_the_clock_and_open_at_the_end_of_the_file() -> None:
    spike = of(*[1.0, 2.0] * 20, 50.0, series="a")
    both = sorted(spike + of(*[1.0] * 200, series="b"), key=lambda reading: reading.time)

    def newest(found: Sequence[Reading], quiet: str) -> list[tuple[str, str]]:
        rules = parse(f"rules: [{{series: '*', {WINDOWS}, incident: {{quiet: {quiet}}}}}]", settings())
        return [(one.change, one.cause) for one in found_in(found, rules).incidents]

    assert newest(spike, "3s") == [("opened", "data")]
    assert newest(both, "3s") == [("resolved", "clock")]
    assert newest(both, "1h") == [("opened", "data")], "its window is closed, but it has not been quiet for so long"


def test_late_readings_and_outliers_of_time_are_counted() -> None:
    found = found_in(
        [*of(*[1.0] * 50), *of(1.0), *of(1.0, begin=BEGIN + 3_600_000), *of(1.0, begin=BEGIN + 5000)], RULES[3]
    )
    assert (found.series["a"].late, found.series["a"].ahead) == (1, 1)


def test_anomalies_of_one_reading_are_the_same_whatever_found_them() -> None:
    found = of(*[1.0, 2.0] * 20, 9.0, 1.0, 2.0, 3.9)
    strict, lax = (
        found_in(found, parse(f"rules: [{{series: '*', detectors: [{{use: {use}}}]}}]", settings()))
        for use in ("sigma, sigmas: 4", "student, sigmas: 5")
    )
    anomalies = compare(strict, lax).anomalies
    assert [one.value for one in anomalies.same] == [9.0]
    assert [one.value for one in anomalies.gained] == [3.9]
    assert [one.value for one in compare(lax, strict).anomalies.lost] == [3.9]


def test_incidents_are_the_same_if_they_have_some_time_in_common() -> None:
    rules = [
        parse(f"rules: [{{series: '{series}', incident: {{open: {{anomalies: {least}}}}}}}]", settings())
        for series, least in (("*", 1), ("a", 3))
    ]
    found = [*of(*[1.0, 2.0] * 20, 9.0, 9.0, 9.0, 9.0), *of(*[1.0, 2.0] * 20, 9.0, series="b")]
    incidents = compare(*(found_in(found, one) for one in rules)).incidents
    assert [one.series for one in incidents.gained] == ["b"]
    assert ([one.series for one in incidents.same], incidents.lost) == (["a"], [])


@pytest.mark.parametrize("step", [1_800_000, 60_000, 2_500])
def test_who_has_windows_that_hold_one_reading_is_told_of_longer_ones(step: int) -> None:
    found = of(*[1.0, 2.0] * 100, 9.0, step=step)
    [hint] = hints(found_in(found, of_options(settings())), of_options(settings()))
    longer = parse(hint.partition("say: ")[2], settings())
    assert [one.value for one in found_in(found, longer).anomalies] == [9.0]
    assert hints(found_in(found, longer), longer) == []
