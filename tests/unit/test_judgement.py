"""The judgement of a partition along its log, by what the window bolt tells."""

from __future__ import annotations

import pytest

from made import settings
from oda.core import snapshot
from oda.core.batch import Batch, Closings, Ended, Held, Readings, RuleMark
from oda.core.judgement import Judgement
from oda.core.kinds import ClosedWindow
from oda.core.machine import OvertakenError
from oda.core.reading import Reading
from oda.settings import Judge


def closed(closed_at: int, mean: float = 5.0, start: int = 0) -> ClosedWindow:
    return ClosedWindow("a", start, start + 10, 2, mean, 1.0, 0, 1, closed_at, "data", 0)


def batch(start: int, values: list[float], closings: Closings) -> Batch:
    readings = Readings.of(range(start, start + len(values)), [Reading("a", 100, value) for value in values])
    return Batch(0, 1, 0, start, start + len(values), 0, 0, readings, closings=closings)


def offsets(judgement: Judgement, batch: Batch) -> list[int]:
    judgement.apply(batch)
    return [row.offset for row in judgement.outputs(batch)["anomalies"]]


def test_the_record_that_closes_a_window_is_judged_against_it() -> None:
    judgement = Judgement(settings())
    assert offsets(judgement, batch(0, [50.0, 50.0, 50.0, 5.0], Closings(0, [closed(2)]))) == [2]


def test_of_several_windows_that_one_record_closes_the_last_one_counts() -> None:
    judgement = Judgement(settings())
    assert offsets(judgement, batch(0, [50.0], Closings(0, [closed(0), closed(0, 50.0, 10)]))) == []


def test_a_series_that_ends_has_no_baseline_until_its_next_window_has_closed() -> None:
    judgement = Judgement(settings())
    readings = Readings.of([0, 1, 3, 4], [Reading("a", 100, 50.0)] * 4)
    closings = Closings(0, [closed(0), closed(4)], [Ended(2, "a")])
    assert offsets(judgement, Batch(0, 1, 0, 0, 5, 0, 0, readings, closings=closings)) == [0, 1, 4]


def test_what_the_window_bolt_has_forgotten_tells_of_another_process() -> None:
    """It was committed, so another judgement has gone beyond; this one must not take it for nothing."""
    judgement = Judgement(settings())
    judgement.apply(batch(0, [5.0, 5.0], Closings(0, [closed(1)])))
    with pytest.raises(OvertakenError, match="judged up to 2, but 3 is committed"):
        judgement.apply(batch(2, [5.0, 50.0], Closings(3, [closed(3, 50.0)])))
    assert offsets(judgement, batch(2, [5.0, 50.0], Closings(2, [closed(3, 50.0)]))) == []


def test_what_is_held_as_an_outlier_of_time_takes_no_part_in_incidents() -> None:
    rules = RuleMark(0, 1, 'rules: [{series: "*", incident: {quiet: 1h}}]')

    def changes(*held: int) -> list[tuple[str, int]]:
        judgement = Judgement(settings())
        times = [100, 100, 100, 100_000_000]
        readings = Readings.of([1, 2, 3, 4], [Reading("a", time, 50.0) for time in times])
        closings = Closings(0, [closed(3)], held=[Held(offset) for offset in held])
        given = Batch(0, 1, 0, 0, 5, 0, 0, readings, rules=[rules], closings=closings)
        judgement.apply(given)
        assert [row.offset for row in judgement.outputs(given)["anomalies"]] == [3, 4]
        return [(row.change, row.found_at) for row in judgement.outputs(given)["incidents"]]

    assert changes(4) == [("opened", 3)]
    assert changes() == [("opened", 3), ("resolved", 4), ("opened", 4)]


OPENS = RuleMark(0, 1, 'rules: [{series: "*", incident: {quiet: 1h}}]')
"""By the detector of the options."""


def with_an_incident() -> Judgement:
    judgement = Judgement(settings())
    given = batch(1, [5.0, 50.0], Closings(0, [closed(2)]))._replace(start=0, rules=[OPENS])
    judgement.apply(given)
    assert [row.change for row in judgement.outputs(given)["incidents"]] == ["opened"]
    return judgement


@pytest.mark.parametrize("other", [Judge(sigmas=5), Judge(min_count=3), Judge(min_stddev=0.5)])
def test_options_that_judge_otherwise_are_refused_as_no_record_says_where_they_changed(other: Judge) -> None:
    data = snapshot.encode(with_an_incident())
    with pytest.raises(snapshot.SnapshotError, match=r"oda\.judge\..* is .*, but the snapshot was made with"):
        snapshot.decode([data], Judgement(settings(judge=other)))


def test_a_snapshot_of_a_version_that_noted_no_options_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(Judgement, "conditions", lambda _: {})
        data = snapshot.encode(with_an_incident())
    assert snapshot.decode([data], Judgement(settings())).position == 3


def test_the_incident_of_a_detector_that_is_taken_for_another_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    data = snapshot.encode(with_an_incident())
    monkeypatch.setattr("oda.core.judged.number_of", lambda _: 7)
    restored = snapshot.decode([data], Judgement(settings()))
    quiet = Batch(0, 1, 0, 3, 4, 0, 0, Readings.of([3], [Reading("a", 3_600_100, 5.0)]), closings=Closings(3, []))
    restored.apply(quiet)
    assert [(row.change, row.count) for row in restored.outputs(quiet)["incidents"]] == [("resolved", 1)]
