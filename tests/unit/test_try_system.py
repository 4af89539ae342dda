"""`oda try` over what the running system has: the same as over a file, and as a shadow finds; mistakes told at once."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from typer.testing import CliRunner

from made import settings
from oda.cli.main import app
from oda.core.batch import Readings
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS
from oda.core.reading import Reading, encode
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.records import Record
from oda.shadow.partition import ShadowPartition
from oda.shadow.run import Span
from oda.trial.run import run
from oda.trial.system import of_archive, of_topic

BEGIN = 1_700_000_000_000
SETTINGS = settings()
RULES = parse(
    "rules: [{series: '*', window: {size: 1s, idle: 700ms}, detectors: [{use: student}, {use: silent}], incident: {}}]",
    SETTINGS,
)


def readings(series: str, count: int = 200) -> list[Reading]:
    """One each 100 ms, with spikes; it is silent for a while in the middle."""
    times = [BEGIN + 100 * number + (3_000 if number > 100 else 0) for number in range(count)]
    return [Reading(series, time, 50.0 if at % 67 == 66 else 1.0 + at % 3) for at, time in enumerate(times)]


def in_turns(*series: str) -> list[Reading]:
    """By time, each at an offset that is 7 and more with gaps."""
    return sorted((one for name in series for one in readings(name)), key=lambda one: one.time)


def parts(found: list[Reading], partition: int, offsets: list[int]) -> list:
    """As the archive gives them: by series, and by slot of time."""
    rows = [(name, at, one) for at, one in zip(offsets, found, strict=True) for name in [one.series]]
    return [
        (series, partition, [(at, one.time, one.value) for name, at, one in rows[begin:end] if name == series])
        for series in {one.series for one in found}
        for begin, end in pairwise([0, 90, 91, len(rows)])
    ]


def test_of_the_archive_it_finds_what_it_finds_in_a_file_with_the_offsets_of_the_log() -> None:
    found = in_turns("a", "b")
    offsets = [7 + 3 * number for number in range(len(found))]
    (got,) = of_archive(parts(found, 2, offsets), SETTINGS, [RULES], bool, keep=True)
    want = run([Readings.of(range(len(found)), found)], SETTINGS, RULES, keep=True)
    assert got.series == want.series
    assert {one.series for one in got.anomalies} == {"a", "b"}
    assert {one.detector for one in got.anomalies} == {"student/1", "silent/1"}

    def moved(row):
        names = {"offset", "found_at"}
        return msgspec.structs.replace(row, **{name: offsets[getattr(row, name) // 2] for name in names})

    assert got.anomalies == list(map(moved, want.anomalies))
    assert got.incidents == list(map(moved, want.incidents))
    assert all(found[offsets.index(one.offset)].value == one.value for one in got.anomalies if one.value == 50.0)
    assert len(got.windows) == len(want.windows) > 20


def test_each_partition_of_the_archive_has_a_clock_of_its_own_and_one_series_may_be_in_two() -> None:
    late = [one._replace(series="c", time=one.time + 3_600_000) for one in readings("c")]
    several = parts(in_turns("a", "b"), 2, list(range(400))) + parts(late, 0, list(range(200)))
    several += parts(readings("a"), 1, list(range(200)))
    (got,) = of_archive(several, SETTINGS, [RULES], lambda name: name != "b", keep=False)
    alone = {name: run([Readings.of(range(200), readings(name))], SETTINGS, RULES).series[name] for name in ("a", "c")}
    assert got.series.keys() == {"a", "c"}
    assert got.series["a"] == alone["a"].plus(alone["a"])
    assert got.series["a"].readings == 400
    assert got.series["c"].anomalies == alone["c"].anomalies


class Log:
    """A topic of two partitions, read in parts."""

    def __init__(self, *partitions: list[Reading]) -> None:
        self.records = [
            [Record(5 + 2 * at, one.time, True, None, encode(one)) for at, one in enumerate(found)]
            for found in partitions
        ]
        self.spans = {number: Span(5, 5 + 2 * len(found)) for number, found in enumerate(partitions)}

    def read(self, is_followed: bool):
        assert not is_followed
        for number, records in enumerate(self.records):
            for begin, end in pairwise([0, 1, 150, len(records)]):
                yield msgspec.defstruct("Part", ["partition"])(number), records[begin:end]


def test_of_the_topic_it_finds_what_a_shadow_does_of_the_series_that_are_wanted() -> None:
    done: list[int] = []
    log = Log(in_turns("a", "b"), in_turns("c"))
    found, same = of_topic(log, SETTINGS, [RULES, RULES], lambda name: name != "b", True, done.append)
    assert (found.anomalies, found.incidents, found.series) == (same.anomalies, same.incidents, same.series)
    want = {kind: [] for kind in (WINDOWS, ANOMALIES, INCIDENTS)}
    for records, wanted in zip(log.records, ["a", "c"], strict=True):
        shadow = ShadowPartition(SETTINGS, RULES, 5, wanted.__eq__)
        for kind, rows in shadow.take(records).items():
            want[kind] += rows
    assert found.anomalies == want[ANOMALIES]
    assert found.windows == want[WINDOWS]
    newest = {(one.series, one.offset, one.detector): one for one in want[INCIDENTS]}
    assert found.incidents == list(newest.values())
    assert {name: (one.readings, one.anomalies) for name, one in found.series.items()} == {
        name: (200, sum(one.series == name for one in found.anomalies)) for name in ("a", "c")
    }
    assert found.series["a"].anomalies >= 3
    assert sum(done) == log.records[0][-1].offset + 1 - 5 + log.records[1][-1].offset + 1 - 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give one of FILE, --topic and --archive"),
        (["a.csv", "--topic"], "give one of FILE, --topic and --archive"),
        (["--topic", "--archive"], "give one of FILE, --topic and --archive"),
        (["--topic"], "from where on"),
        (["--topic", "--from", "yesterday"], "--from 'yesterday': must be an offset, or a time"),
        (["--topic", "--from", "-1"], "there is no such offset"),
        (["--topic", "--from", "0", "--until", "7"], "--until 7: must be `now` or a time"),
        (["--archive", "--from", "7"], "--from: time 7 is in January 1970"),
        (["--archive", "--from", "2026-11-25 12:00:00", "--until", "2026-11-25 11:00:00"], "is not before --until"),
    ],
)
def test_a_mistake_is_told_before_anything_is_opened(arguments: list[str], told: str) -> None:
    found = CliRunner().invoke(app, ["try", *arguments])
    assert isinstance(found.exception, UserError)
    assert told in str(found.exception)
