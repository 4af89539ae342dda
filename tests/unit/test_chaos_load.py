"""What `oda chaos` sends is seen judged, whatever rules it draws: so it knows how long after a fault that goes on."""

from itertools import pairwise
from random import Random

import pytest

from made import settings
from oda.chaos.load import SERIES, in_turn
from oda.chaos.rules import drawn
from oda.core.batch import Readings
from oda.trial.run import run

BEGIN = 1_700_000_000_000

APART_MS = 52
"""As on machines, where readings are fewest: one of a series comes each 0.8 s."""


@pytest.mark.parametrize("seed", range(8))
def test_each_series_has_anomalies_again_and_again(seed: int) -> None:
    readings = [in_turn(n, BEGIN + n * APART_MS) for n in range(500)]
    rules = drawn(Random(seed), settings())
    found = run([Readings.of(range(len(readings)), readings)], settings(), rules)
    for series in SERIES:
        times = sorted({one.time for one in found.anomalies if one.series == series})
        longest = max(after - before for before, after in pairwise([BEGIN, *times, readings[-1].time]))
        assert longest < 15_000, (series, longest, rules.text)
