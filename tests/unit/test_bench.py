"""The benchmark's judge: it finds what an engine did otherwise, and its engines in Python do the same work."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import made
from oda.audit.reference import Reference
from oda.bench.engines import PEERS
from oda.bench.results import differences
from oda.bench.workload import JITTER_MS, Workload
from oda.core.reading import Reading
from oda.settings import Window

RIGHT = {("a", 0, None): (3, 1.0, 0.5), ("a", 2000, 9.0): (1.0, 0.5)}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({("a", 0, None): (3, 1.0 + 1e-12, 0.5)}, None),
        ({("a", 0, None): (3, 1.0 + 1e-6, 0.5)}, "1 of 2 rows have other figures"),
        ({("a", 0, None): (2, 1.0, 0.5)}, "1 of 2 rows have other figures"),
        ({("b", 0, None): (3, 1.0, 0.5)}, "1 rows too many, 0 missing"),
    ],
)
def test_differences(changes, says):
    assert differences(RIGHT | changes, RIGHT) == says


def test_a_row_is_missing():
    assert differences({}, RIGHT) == "0 rows too many, 2 missing"


readings = st.lists(st.tuples(st.integers(0, 12_000), st.sampled_from([0.0, 1.0, 1.5, 50.0, -1e9])), max_size=40)


@given(readings, st.sampled_from([0, 1000]))
def test_the_work_of_the_peers_is_that_of_the_simple_implementation(readings, lateness_ms):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        import series

        patch.setattr(series, "LATENESS_MS", lateness_ms)
        state, rows = series.new_state(), []
        for time, value in readings:
            rows += series.step(state, "a", time, value)
    sys.modules.pop("series")
    reference = Reference(made.settings(window=Window(lateness_ms=lateness_ms)))
    for offset, (time, value) in enumerate(readings):
        reference.read(offset, Reading("a", time, value))
    windows = [(row["start"], row["count"], row["mean"], row["stddev"]) for row in rows if "start" in row]
    anomalies = [(row["time"], row["value"], row["mean"], row["stddev"]) for row in rows if "time" in row]
    assert windows == [(row.start, row.count, row.mean, row.stddev) for row in reference.windows]
    assert anomalies == [(row.time, row.value, row.mean, row.stddev) for row in reference.anomalies]


def test_no_shuffled_reading_is_late():
    assert Workload(10, 100, shuffled=True).lateness_ms > JITTER_MS
