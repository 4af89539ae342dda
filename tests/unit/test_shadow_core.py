"""A shadow: other rules over the same log give what they would have given live; and how the two are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from rich.console import Console
from typer.testing import CliRunner, Result

from made import settings
from oda.cli.main import app
from oda.cli.shadowed import Report
from oda.core import clock, rulemark
from oda.core.batch import Batch, Closings, Readings
from oda.core.judgement import Judgement
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS, Anomaly, ClosedWindow, Document, Incident, Kind
from oda.core.reading import Reading, encode
from oda.core.rules.match import of_options
from oda.core.rules.parse import parse
from oda.core.windows import PartitionWindows
from oda.errors import UserError
from oda.kafka.records import Record
from oda.paths import ROOT
from oda.settings import load_options
from oda.shadow.compare import Span, outcomes
from oda.shadow.partition import ShadowPartition
from oda.shadow.run import Shadow
from oda.shadow.stores import settings_of

BEGIN = 1_700_000_000_000
SETTINGS = settings()
KINDS = (WINDOWS, ANOMALIES, INCIDENTS)

RULES = [
    of_options(SETTINGS),
    *(
        parse(f"rules: [{{series: '*', {rule}}}]", SETTINGS)
        for rule in (
            "window: {size: 1s, idle: 700ms}, detectors: [{use: student, incident: {quiet: 3s}}]",
            "window: {size: 1s, idle: 2s}, detectors: [{use: silent}, {use: sigma}], incident: {open: {anomalies: 1}}",
            "window: each, detectors: [{use: robust}]",
        )
    ),
]

Found = dict[Kind[Any], list[Any]]


def reading(offset: int, series: str, ms: int, value: float, came: int | None = None) -> Record:
    """It came when its time says, unless told otherwise."""
    came = ms if came is None else came
    return Record(offset, BEGIN + came, True, series.encode(), encode(Reading(series, BEGIN + ms, value)))


def judged(records: Sequence[Record], rules: Any, cuts: Sequence[int] = ()) -> Found:
    """What comes of records that are cut before these indexes."""
    shadow = ShadowPartition(SETTINGS, rules, records[0].offset)
    found: Found = {kind: [] for kind in KINDS}
    edges = sorted({0, *(cut for cut in cuts if 0 < cut < len(records)), len(records)})
    for begin, end in pairwise(edges):
        for kind, rows in shadow.take(records[begin:end]).items():
            found[kind] += rows
    return found


records = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 900),
        st.sampled_from([0.0, 1.0, 1.5, 100.0]),
        st.sampled_from([0, 1, 400, 3_000]),
        st.integers(1, 3),
    ),
    min_size=2,
    max_size=60,
)


@given(records, st.lists(st.integers(1, 59)), st.sampled_from(RULES))
def test_what_is_found_does_not_depend_on_how_the_log_is_cut(
    made: list[tuple[str, int, float, int, int]], cuts: list[int], rules: Any
) -> None:
    log, offset, now = [], 5, 0
    for series, earlier, value, pause, step in made:
        offset, now = offset + step, now + pause
        log.append(reading(offset, series, now - earlier + 1000, value, now + 1000))
    in_parts, at_once = judged(log, rules, cuts), judged(log, rules)
    for kind in KINDS:  # what one place brings about has no order of its own
        assert sorted(map(repr, in_parts[kind])) == sorted(map(repr, at_once[kind]))


def test_rows_have_the_offsets_of_the_log_and_are_those_of_the_machines() -> None:
    values = [1.0, 1.1, 0.9, 50.0, 1.0, 1.05, 0.95, 1.0, 70.0]
    log = [reading(100 + 3 * n, "a", 700 * n, value) for n, value in enumerate(values)]
    windows, judgement = PartitionWindows(SETTINGS, 100), Judgement(SETTINGS, 100)
    rows = [Reading("a", BEGIN + 700 * n, value) for n, value in enumerate(values)]
    batch = Batch(0, 0, 0, 100, 125, 100, 0, Readings.of([record.offset for record in log], rows))
    windows.apply(batch)
    closed = windows.outputs(batch)["closed"]
    batch = batch._replace(closings=Closings(100, closed))
    judgement.apply(batch)
    found = judged(log, of_options(SETTINGS))
    assert found[WINDOWS] == closed
    assert found[ANOMALIES] == judgement.outputs(batch)["anomalies"]
    assert [anomaly.offset for anomaly in found[ANOMALIES]]


def test_the_clock_is_the_largest_timestamp_and_closes_what_fell_silent() -> None:
    log = [reading(0, "a", 0, 1.0), reading(1, "b", 0, 1.0), reading(2, "b", 6_900, 1.0), reading(3, "b", 7_100, 1.0)]
    found = judged(log, of_options(SETTINGS))
    # Windows of 2 s, and 5 s of idleness: a's is over at 7 s, and b's was closed by b.
    assert [(row.series, row.closed_by, row.closed_at) for row in found[WINDOWS]] == [
        ("b", "data", 2),
        ("a", "clock", 3),
    ]


def test_what_the_clock_closes_at_a_record_is_closed_before_it() -> None:
    log = [reading(0, "a", 0, 1.0), reading(1, "a", 1_000, 2.0), reading(2, "a", 1_500, 3.0, came=20_000)]
    (window,) = judged(log, of_options(SETTINGS))[WINDOWS]
    assert (window.count, window.closed_by, window.closed_at) == (2, "clock", 2)


def test_of_live_clock_records_only_the_time_counts_and_rule_records_mean_nothing() -> None:
    group = SETTINGS.kafka.group
    (close,) = clock.encode(group, 1, {"a": BEGIN})
    rules = rulemark.encode(group, 1, "0" * 64)
    early = [
        reading(0, "a", 0, 1.0),
        Record(1, BEGIN + 10, True, clock.KEY, close),
        Record(2, BEGIN + 20, True, rulemark.KEY, rules),
    ]
    assert judged(early, of_options(SETTINGS)) == {kind: [] for kind in KINDS}
    late = Record(3, BEGIN + 8_000, True, clock.KEY, close)
    (window,) = judged([*early, late], of_options(SETTINGS))[WINDOWS]
    assert (window.closed_by, window.closed_at) == ("clock", 3)


def test_a_series_that_is_silent_for_very_long_ends() -> None:
    day = SETTINGS.window.expire_ms
    log = [
        reading(0, "a", 0, 1.0),
        *(reading(1 + n, "b", n * day // 4, 1.0) for n in range(7)),
        reading(8, "a", 1, 1.0, came=7 * day // 4),
    ]
    # A reading of a window that was closed: in one that goes on it is late, in one that begins anew it is not.
    found = judged([*log, reading(9, "a", 2_001, 1.0, came=7 * day // 4 + 1)], of_options(SETTINGS))
    assert [(row.first_offset, row.late) for row in found[WINDOWS] if row.series == "a"] == [(0, 0), (8, 0)]


# -- the comparison


class FakeStore:
    """Rows of one kind each, with the partition that they are of."""

    def __init__(self, **rows: Sequence[tuple[int, Any]]) -> None:
        self._rows = rows

    def rows(self, kind: Kind[Any]) -> Iterator[tuple[str, Document]]:
        for partition, row in self._rows.get(kind.name, ()):
            document = kind.document("readings", partition, row)
            yield kind.place(document), document

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterator[Document]:
        for _, document in self.rows(kind):
            if document["series"] == series and since <= document[kind.time] < until:
                yield document


def anomaly(offset: int, series: str = "a", detector: str = "sigma/1", window_start: int = 0) -> Anomaly:
    return Anomaly(
        series, offset * 1000 + 7, offset, 9.0, 1.0, 1.0, 5, window_start, detector, 50.0, 1.0, 0.0, 2.0, offset, 0
    )


def incident(offset: int, last: int, number: int = 0, series: str = "a", found_at: int | None = None) -> Incident:
    change = ("opened", "resolved")[number]
    time, at = offset * 1000 + 7, offset if found_at is None else found_at
    return Incident(
        series, time, offset, "sigma/1", number, change, "data", "warning", time, at, 1, last * 1000 + 7, time,
        9.0, 50.0, 1.0, 0.0, 2.0, "{}", 0,
    )  # fmt: skip


def window(start: int, closed_by: str) -> ClosedWindow:
    return ClosedWindow("a", start, start + 1000, 5, 1.0, 1.0, 1, 2, 3, closed_by, 0)


def compared(shadow: FakeStore, live: FakeStore, spans: Mapping[int, Span]) -> dict[int, Any]:
    return outcomes(shadow, live, spans)  # type: ignore[arg-type]  # all that it asks for


def test_anomalies_of_one_reading_are_the_same_within_the_span() -> None:
    shadow = FakeStore(anomalies=[(0, anomaly(offset, detector="student/1")) for offset in (12, 11, 20)])
    live = FakeStore(anomalies=[(0, anomaly(offset)) for offset in (9, 11, 13, 20)] + [(1, anomaly(12))])
    found = compared(shadow, live, {0: Span(10, 20), 1: Span(0, 20)})
    decided = found[0].decided.anomalies
    assert [[row.offset for row in rows] for rows in decided] == [[12], [13], [11]]
    assert [[row.offset for row in rows] for rows in found[1].decided.anomalies] == [[], [12], []]


def test_incidents_that_opened_before_the_span_are_known_but_not_lost() -> None:
    shadow = FakeStore(incidents=[(0, incident(12, 12)), (0, incident(18, 18))])
    live = FakeStore(
        incidents=[
            (0, incident(2, 3)),
            (0, incident(8, 8)),
            (0, incident(8, 13, number=1, found_at=16)),
            (0, incident(15, 15)),
            (0, incident(17, 17)),
            (0, incident(17, 18, number=1, found_at=25)),
        ]
    )
    decided = compared(shadow, live, {0: Span(10, 20)})[0].decided.incidents
    assert [row.offset for row in decided.same] == [12]
    assert [row.offset for row in decided.lost] == [15, 17], "the change of 17 is beyond the span"
    assert [row.offset for row in decided.gained] == [18]


@pytest.mark.parametrize("is_shadows", [True, False])
def test_what_hangs_on_a_window_that_a_clock_closed_is_apart(is_shadows: bool) -> None:
    shadow_windows, live_windows = [(0, window(5_000, "clock"))], [(0, window(5_000, "data"))]
    if not is_shadows:
        shadow_windows, live_windows = live_windows, shadow_windows
    shadow = FakeStore(
        anomalies=[(0, anomaly(11, window_start=5_000)), (0, anomaly(30, window_start=4_000))],
        incidents=[(0, incident(10, 12)), (0, incident(29, 31))],
        windows=[*shadow_windows, (0, window(4_000, "data"))],
    )
    live = FakeStore(anomalies=[(0, anomaly(14, window_start=5_000))], windows=live_windows)
    (found,) = compared(shadow, live, {0: Span(0, 100)}).values()
    assert [[row.offset for row in rows] for rows in found.decided.anomalies] == [[30], [], []]
    assert [[row.offset for row in rows] for rows in found.by_clock.anomalies] == [[11], [14], []]
    assert [[row.offset for row in rows] for rows in found.decided.incidents] == [[29], [], []]
    assert [[row.offset for row in rows] for rows in found.by_clock.incidents] == [[10], [], []]


# -- the run


class FakeStores:
    def __init__(self) -> None:
        self.written: list[tuple[int, dict[str, int]]] = []

    def write(self, partition: int, rows: Mapping[Kind[Any], Sequence[Any]]) -> None:
        self.written.append((partition, {kind.name: len(some) for kind, some in rows.items()}))


def test_a_run_writes_part_by_part_and_says_how_far_it_is() -> None:
    stores, parts = FakeStores(), [TopicPartition("readings", number) for number in (0, 1)]
    shadow = Shadow(SETTINGS, of_options(SETTINGS), {0: Span(4, 9), 1: Span(0, 1)}, stores)  # type: ignore[arg-type]
    done: list[int] = []
    polled = [
        (parts[0], [reading(4, "a", 0, 1.0), reading(6, "a", 2_000, 1.0)]),
        (parts[1], []),
        (parts[0], [reading(8, "a", 4_000, 1.0)]),
    ]
    shadow.run(iter(polled), done.append)
    assert stores.written == [(0, {"windows": 1, "anomalies": 0, "incidents": 0})] * 2
    assert (shadow.spans, shadow.readings, shadow.found["windows"]) == ({0: Span(4, 9), 1: Span(0, 0)}, 3, 2)
    assert done == [3, 2]


# -- names and the command line


@pytest.mark.parametrize("name", ["oda", "", "Shadow", "shadow-2", "shadow.windows", "shadow" + "x" * 41])
def test_a_name_that_is_no_shadows_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="--name"):
        settings_of(name, load_options(ROOT / "config.json", "local"))


def test_a_shadow_never_has_the_stores_of_the_live_system() -> None:
    options = load_options(ROOT / "config.json", "local")
    assert settings_of("shadow_2", options).cassandra.keyspace == "shadow_2"
    assert settings_of("shadow_2", options).kafka.readings == "readings"
    with pytest.raises(UserError, match=r"oda\.elasticsearch\.prefix = shadow is the live system's"):
        settings_of("shadow", options | {"oda.elasticsearch.prefix": "shadow"})


def oda(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(ROOT / "config.json"), "shadow", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which rules?"),
        (["FILE"], "from where on? --from"),
        (["FILE", "--from", "soon"], "--from 'soon': must be an offset, or a time"),
        (["FILE", "--from", "-1"], "there is no such offset"),
        (["FILE", "--from", "0", "--until", "7"], "--until 7: must be `now` or a time"),
        (["FILE", "--from", "0", "--until", "2026-11-25", "--follow"], "give either --until or --follow"),
        (["FILE", "--from", "0", "--name", "oda"], "--name oda: must be `shadow`"),
    ],
)
def test_a_mistake_is_told_before_anything_is_opened(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    done = oda(*(str(tmp_path / "rules.yaml") if argument == "FILE" else argument for argument in arguments))
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_rules_that_are_wrong_are_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n  - series: a\n    windows: each\n")
    done = oda(str(tmp_path / "rules.yaml"), "--from", "0")
    assert (done.exit_code, done.stdout) == (
        1,
        f"{tmp_path}/rules.yaml:3:5: rules[0].windows: there is no such field\n",
    )


# -- the report


def test_the_report_counts_by_series_and_detector_and_has_each_row() -> None:
    stores = FakeStores()
    run = Shadow(SETTINGS, of_options(SETTINGS), {0: Span(0, 30), 1: Span(0, 30)}, stores)  # type: ignore[arg-type]
    polled = [(TopicPartition("readings", 0), 29), (TopicPartition("readings", 1), 27)]
    run.run(((part, [reading(offset, "a", 0, 1.0)]) for part, offset in polled), lambda _: None)
    shadow = FakeStore(
        anomalies=[(0, anomaly(11)), (1, anomaly(12, "b", "student/1")), (0, anomaly(15, window_start=5_000))],
        windows=[(0, window(5_000, "clock"))],
    )
    live = FakeStore(anomalies=[(0, anomaly(11)), (1, anomaly(13, "b"))])
    spans = {0: Span(0, 28), 1: Span(0, 28)}
    report = Report(run, spans, compared(shadow, live, spans))
    assert report.differs
    document = json.loads(json.dumps(report.document("readings")))
    assert document["partitions"]["0"] == {"from": 0, "until": 30, "compared_until": 28}
    found = document["differences"]["anomalies"]
    assert {which: [(row["partition"], row["offset"]) for row in rows] for which, rows in found.items()} == {
        "gained": [(1, 12)],
        "lost": [(1, 13)],
        "same": [(0, 11)],
    }
    assert [row["offset"] for row in document["by_clock"]["anomalies"]["gained"]] == [15]
    assert [(one["series"], one["detector"], *one["anomalies"].values()) for one in document["counts"]] == [
        ("a", "sigma/1", 0, 0, 1),
        ("b", "sigma/1", 0, 1, 0),
        ("b", "student/1", 1, 0, 0),
    ]
    out = StringIO()
    report.show("shadow", "oda", Console(file=out, width=120))
    text = out.getvalue()
    assert "shadow beside oda: 2 readings (partition 0: 0 to 30, 1: 0 to 28)" in text
    assert "2 offsets are not compared: group oda has not committed them yet" in text
    assert "Anomalies: 1 are the same, 1 are gained, 1 are lost" in text
    assert "Anomalies: 1 more gained and 0 more lost by the clock" in text


def test_what_only_the_clock_decided_is_no_difference() -> None:
    shadow = FakeStore(anomalies=[(0, anomaly(15, window_start=5_000))], windows=[(0, window(5_000, "clock"))])
    run = Shadow(SETTINGS, of_options(SETTINGS), {0: Span(0, 30)}, FakeStores())  # type: ignore[arg-type]
    spans = {0: Span(0, 30)}
    assert not Report(run, spans, compared(shadow, FakeStore(), spans)).differs
