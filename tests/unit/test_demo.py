"""`oda demo`: its rules find what is wrong with each of its series within a minute, and little else."""

from collections import Counter
from itertools import takewhile

import pytest

from made import settings
from oda.collect.kinds import SERIES
from oda.collect.kinds import readings as made_readings
from oda.core.batch import Readings
from oda.core.rules.parse import parse
from oda.paths import ROOT
from oda.trial.run import Found, run

START = 1_795_600_000_000
MINUTES = 5


@pytest.fixture(scope="module", params=range(3))
def found(request: pytest.FixtureRequest) -> Found:
    """In some minutes of the demo, judged by the demo's rules."""
    end = START + MINUTES * 60_000
    some = list(takewhile(lambda reading: reading.time < end, made_readings(START, request.param)))
    rules = parse((ROOT / "docs" / "demo.yaml").read_text(), settings())
    return run([Readings.of(range(len(some)), some)], settings(), rules)


def test_each_series_has_an_incident_within_a_minute_and_a_few_seconds(found: Found):
    first: dict[str, float] = {}
    for one in found.incidents:
        first.setdefault(one.series, (one.changed - START) / 1000)
    assert set(first) == set(SERIES)
    assert max(first.values()) < 70, first


def test_what_is_found_is_what_was_put_there(found: Found):
    incidents = Counter(one.series for one in found.incidents)
    assert all(3 <= incidents[name] <= 3 * MINUTES + 2 for name in SERIES), incidents
