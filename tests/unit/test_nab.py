"""NAB's scoring against what it must be by its description, and against what NAB has published."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from scipy.special import ndtr

from oda.bench import nab as benchmark
from oda.bench.nab_scoring import PROFILES, Labelled, Profile, normalised, score
from oda.core.detectors import load
from oda.errors import UserError

STANDARD = PROFILES["standard"]
WINDOWS = [(300, 399), (600, 649)]


@pytest.fixture(scope="module")
def files(nab):
    return benchmark.read(nab)


def detections(*at, rows=1000):
    found = np.zeros(rows, np.bool_)
    found[list(at)] = True
    return Labelled(found, WINDOWS)


def worth(position):
    return (2 / (1 + exp(5 * position)) - 1) / (2 / (1 + exp(-5)) - 1)


def test_the_first_row_of_each_window_is_perfect_and_nothing_is_0():
    for profile in PROFILES.values():
        assert normalised([detections(300, 600)], profile) == 100
        assert normalised([detections()], profile) == 0


def test_a_window_counts_once_by_its_first_detection_the_later_the_less():
    assert score(detections(350, 351, 399, 600), STANDARD) == pytest.approx(worth(-0.5) + 1)
    assert score(detections(399, 600), STANDARD) == pytest.approx(worth(-0.01) + 1)


def test_a_window_without_detection_costs_and_twice_so_where_misses_count_more():
    assert score(detections(300), STANDARD) == pytest.approx(0)
    assert score(detections(300), PROFILES["low FN"]) == pytest.approx(-1)


def test_a_detection_outside_costs_less_just_after_a_window():
    assert score(detections(300, 600, 200), STANDARD) == pytest.approx(2 - 0.11)
    just_after = 0.11 * (2 / (1 + exp(5 * 1 / 99)) - 1)
    assert score(detections(300, 600, 400), STANDARD) == pytest.approx(2 + just_after)
    assert score(detections(300, 600, 950), PROFILES["low FP"]) == pytest.approx(2 - 0.22)  # more than 3 lengths after


def test_the_first_15_percent_do_not_count():
    assert score(detections(149, 300, 600), STANDARD) == pytest.approx(2)
    assert score(detections(150, 300, 600), STANDARD) == pytest.approx(2 - 0.11)
    early = Labelled(
        detections(100).detections, [(100, 140), (130, 200)]
    )  # one that has no row that counts costs nothing
    assert score(early, STANDARD) == pytest.approx(-1)


def windowed_gaussian(values):
    """NAB's detector of this name, by its description: the normal distribution of the last 6400 values, later moved on
    by 100 at once. Its published scores have 12 digits."""
    at = np.arange(len(values))
    begin = np.maximum(at - 6400, 0) // 100 * 100
    end = np.minimum(at, begin + 6400)
    count = np.maximum(end - begin, 1)
    shifted = values - values[0]
    sums, squares = (np.r_[0.0, np.cumsum(column)] for column in (shifted, shifted * shifted))
    mean = (sums[end] - sums[begin]) / count
    variance = (squares[end] - squares[begin]) / count - mean * mean
    deviation = np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 0)), 1e-6)
    return np.round(1 - ndtr(-np.abs(shifted - mean) / deviation), 12) * (at > 0)


PUBLISHED = {"standard": -15.618740969305, "low FP": -19.367058396902, "low FN": -39.618740969305}
"""Of windowedGaussian, at its threshold of 1.0: the sums of the scores of these 25 files in NAB 1.1's results."""


@pytest.mark.parametrize("profile", PROFILES)
def test_published_scores_of_the_windowed_gaussian_are_reproduced(files, profile):
    found = [Labelled(windowed_gaussian(file.values) >= 1.0, file.windows) for file in files]
    assert sum(score(file, PROFILES[profile]) for file in found) == pytest.approx(PUBLISHED[profile], abs=1e-9)


def test_the_null_detector_has_its_published_score(files):
    nothing = [Labelled(np.zeros(len(file.values), np.bool_), file.windows) for file in files]
    assert [normalised(nothing, profile) for profile in PROFILES.values()] == [0, 0, 0]
    assert sum(score(file, Profile(0.11, 1.0)) for file in nothing) == -sum(len(file.windows) for file in files)


def test_the_default_detector_is_above_70(files):
    detector = load("d5")
    scores = benchmark.scores(detector(detector.Parameters()), files, benchmark.Cut())
    assert {name: round(score, 1) for name, score in scores.items()} == {
        "standard": 74.3,
        "low FP": 66.8,
        "low FN": 79.4,
    }


def test_nabs_own_repository_is_read_too(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/combined_windows.json").write_text(
        '{"a/b.csv": [["2014-04-01 00:05:00.000000", "2014-04-01 00:10:00.000000"]]}'
    )
    (tmp_path / "data/a").mkdir(parents=True)
    rows = "".join(f"2014-04-01 00:{5 * at:02}:00,{at}.5\n" for at in range(4))
    (tmp_path / "data/a/b.csv").write_text("timestamp,value\n" + rows)
    (file,) = benchmark.read(tmp_path)
    assert (file.name, file.values.tolist(), file.windows) == ("a/b.csv", [0.5, 1.5, 2.5, 3.5], [(1, 2)])
    assert np.diff(file.times).tolist() == [300_000] * 3


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match=r"has none of windows\.json.*--data"):
        benchmark.read(tmp_path)
