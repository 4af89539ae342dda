"""Why: an anomaly recomputed from what is archived is the one that was found, or what differs is told."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from typer.testing import CliRunner

from made import settings
from oda.cli import why as cli
from oda.cli.main import app
from oda.core.batch import Batch, Closings, Readings, RuleMark
from oda.core.judgement import Judgement
from oda.core.kinds import ANOMALIES, WINDOWS, Anomaly, ClosedWindow, Document, Kind
from oda.core.reading import Reading
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.core.windows import PartitionWindows
from oda.errors import UserError
from oda.query import why as read
from oda.shown import time_text
from oda.stores.archive import Columns
from oda.why import Archived, explain, needs_all

BEGIN = 1_700_000_000_000


def rules_of(detector: str, version: int = 1) -> Rules:
    return parse(f"rules: [{{series: '*', window: {{size: 1s}}, detectors: [{detector}]}}]", settings(), version)


def found_in(rules: Rules) -> tuple[list[Anomaly], Archived]:
    """What the topology finds in noise with spikes, and what it archives."""
    random_ = random.Random(1)
    values = [random_.gauss(10, 1) + 20 * (number % 97 == 96) for number in range(1000)]
    found = [Reading("a", BEGIN + 100 * number, value) for number, value in enumerate(values)]
    readings = Readings.of(range(1, 2 * len(found), 2), found)  # other series have readings between
    mark = RuleMark(0, rules.version, rules.text)
    batch = Batch(0, 0, 0, 0, 2 * len(found), 0, 0, readings, rules=[mark] if rules.version else [])
    windows, judgement = PartitionWindows(settings()), Judgement(settings())
    windows.apply(batch)
    closed: list[ClosedWindow] = windows.outputs(batch)["closed"]
    judgement.apply(batch._replace(closings=Closings(0, closed)))
    return judgement.outputs(batch)["anomalies"], Archived(readings, closed, batch.rules)


@pytest.mark.parametrize(
    ("detector", "all_"),
    [
        ("{use: sigma, sigmas: 3}", False),
        ("{use: student, sigmas: 3, least: {absolute: 3}}", False),
        ("{use: robust, sigmas: 3}", True),
        ("{use: level, sigmas: 2}", True),
        ("{use: d1}", True),
    ],
)
def test_every_anomaly_is_recomputed_to_the_last_bit(detector: str, all_: bool) -> None:
    rules = rules_of(detector)
    anomalies, archived = found_in(rules)
    assert anomalies
    for anomaly in anomalies:
        found = explain(anomaly, archived, rules, settings())
        assert found.differs == []
        assert found.recomputed == anomaly
        assert found.window is None or (found.recomputed_window, len(found.baseline.offsets)) == (found.window, 10)
        assert needs_all(anomaly, rules) == all_


def test_by_the_options_its_baseline_is_enough() -> None:
    rules = of_options(settings())
    anomalies, archived = found_in(rules)
    anomaly = anomalies[-1]
    baseline = [one for one in archived.windows if one.start == anomaly.window_start]
    own = (archived.readings.times >= anomaly.window_start) & (archived.readings.times <= anomaly.time)
    found = explain(anomaly, Archived(archived.readings.where(own), baseline), rules, settings())
    assert (found.differs, found.recomputed) == ([], anomaly)


def test_what_differs_is_told() -> None:
    rules = rules_of("{use: sigma}")
    anomalies, archived = found_in(rules)
    anomaly = anomalies[-1]
    changed = msgspec.structs.replace(anomaly, score=anomaly.score / 2)
    assert explain(changed, archived, rules, settings()).differs == [
        f"anomaly: score is {changed.score!r} in the store, {anomaly.score!r} recomputed"
    ]
    values = archived.readings.values.copy()
    values[archived.readings.times == anomaly.window_start] += 1e-12
    other = Archived(archived.readings._replace(values=values), archived.windows, archived.marks)
    found = explain(anomaly, other, rules, settings())
    assert any(f"window of {anomaly.window_start}: mean is" in one for one in found.differs)
    assert any("anomaly: mean is" in one for one in found.differs)


def test_without_its_readings_or_its_window_there_is_nothing_to_recompute() -> None:
    rules = rules_of("{use: sigma}")
    [*_, anomaly], archived = found_in(rules)
    nothing = archived.readings.before(0)
    assert explain(anomaly, Archived(nothing, archived.windows, archived.marks), rules, settings()).differs == [
        f"window of {anomaly.window_start}: it can't be found again",
        "anomaly: it can't be found again",
    ]
    found = explain(anomaly, Archived(archived.readings, [], archived.marks), rules, settings())
    assert found.differs[0] == f"the window that starts at {anomaly.window_start} is not in the store"


class Store:
    """Stands for Cassandra; the anomalies are of partition 3, and other windows of partition 2."""

    def __init__(self, anomalies: list[Anomaly], archived: Archived) -> None:
        self._rows = {ANOMALIES: anomalies, WINDOWS: archived.windows}
        self._readings = archived.readings

    def recent(self, kind: Kind, series: str, since: int, until: int) -> Iterator[Document]:
        for row in self._rows[kind]:
            if row.series == series and since <= getattr(row, kind.time) < until:
                yield kind.document("readings", 3, row)
                if kind is WINDOWS:
                    yield kind.document("readings", 2, msgspec.structs.replace(row, mean=0.0))

    def archived(self, series: str, partition: int, since: int, until: int) -> Iterator[Columns]:
        assert partition == 3
        assert series == "a"
        times = self._readings.times
        yield Columns(*(column[(since <= times) & (times < until)] for column in self._readings[2:]))

    def close(self) -> None:
        pass


class Topic:
    """Stands for the topic of rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def read(self, version: int) -> str:
        return {self._rules.version: self._rules.text}[version]

    def marks(self) -> dict[int, dict[int, int]]:
        return {self._rules.version: {3: 0}}

    def close(self) -> None:
        pass


@pytest.mark.parametrize("detector", [None, "{use: student, sigmas: 3}", "{use: robust, sigmas: 3}", "{use: d1}"])
def test_the_command_shows_the_anomaly_its_readings_and_that_both_are_equal(monkeypatch, detector: str | None) -> None:
    rules = rules_of(detector) if detector else of_options(settings())
    anomalies, archived = found_in(rules)
    monkeypatch.setattr(cli, "CassandraStore", lambda _: Store(anomalies, archived))
    monkeypatch.setattr(read, "RulesTopic", lambda _: Topic(rules))
    for anomaly in (anomalies[0], anomalies[-1]):
        result = CliRunner().invoke(app, ["why", "a", time_text(anomaly.time)])
        assert result.exit_code == 0, result.output
        assert f"{anomaly.value!r}, expected {anomaly.expected!r}" in result.stdout
        assert "equal to the last bit" in result.stdout
    changed = [msgspec.structs.replace(one, mean=one.mean + 1e-9) for one in anomalies]
    monkeypatch.setattr(cli, "CassandraStore", lambda _: Store(changed, archived))
    result = CliRunner().invoke(app, ["why", "a", str(anomaly.time), "--offset", str(anomaly.offset)])
    assert result.exit_code == 1
    assert f"anomaly: mean is {anomaly.mean + 1e-9!r} in the store" in result.stdout


def test_of_no_anomaly_the_nearest_are_named(monkeypatch) -> None:
    anomalies, archived = found_in(of_options(settings()))
    monkeypatch.setattr(cli, "CassandraStore", lambda _: Store(anomalies, archived))
    result = CliRunner().invoke(app, ["why", "a", str(anomalies[0].time + 1)])
    assert isinstance(result.exception, UserError)
    assert f"the nearest are at {time_text(anomalies[0].time)} (offset {anomalies[0].offset})" in str(result.exception)
    result = CliRunner().invoke(app, ["why", "a", "yesterday"])
    assert "TIME: 'yesterday' is not a time" in str(result.exception)
