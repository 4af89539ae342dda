"""What people say of incidents: kept, newest first, and rules scored by it."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from oda.cli.main import app
from oda.core.kinds import Incident, Located
from oda.query.incidents import Incidents, place_of
from oda.verdicts import Verdict, decode

RULES = "rules:\n  - series: '*'\n    window: {size: 10m}\n    detectors: [{use: student, incident: {}}]\n"
NO_INCIDENTS = RULES.replace(", incident: {}", "")
BLIND = RULES.replace("use: student", "use: student, sigmas: 37")
BEGIN = 1_700_000_000


def change(series="pump", *, time=1_000, offset=7, number=0, what="opened", severity="warning", labels="{}") -> Located:
    row = Incident(
        series, time, offset, "sigma/1", number, what, "data", severity, time + number, offset + number, 1 + number,
        time + number, time, 9.0, 99.0, 1.0, 0.0, 2.0, labels, 0,
    )  # fmt: skip
    return Located("readings", 3, row)


def verdict(**of) -> Verdict:
    start = {
        "place": "readings:3:7:sigma/1",
        "series": "pump",
        "detector": "sigma/1",
        "time": 1_000,
        "last_time": 1_000,
    }
    return Verdict(**start | {"by": "ann", "at": 5} | of)


def test_the_highest_change_of_an_incident_counts_in_whatever_order_they_come():
    book = Incidents()
    assert book.take(change(number=1, what="resolved")) is not None
    assert book.take(change()) is None
    assert book.take(change(number=1, what="resolved")) is None
    (known,) = book.find("all", "", "", "")
    assert known.document()["resolved"] == 1_001
    assert book.by_series == {}


def test_open_ones_come_first_then_the_newest():
    book = Incidents()
    for at, (name, is_open) in enumerate([("a", True), ("b", False), ("c", True), ("d", False)]):
        book.take(change(name, time=1000 * at, offset=at))
        if not is_open:
            book.take(change(name, time=1000 * at, offset=at, number=1, what="resolved"))
    assert [one.newest.series for one in book.find("all", "", "", "")] == ["c", "a", "d", "b"]
    assert [one.newest.series for one in book.find("open", "", "", "")] == ["c", "a"]
    assert [one.newest.series for one in book.find("resolved", "", "", "")] == ["d", "b"]
    assert book.by_series == {"a": 1, "c": 1}
    assert book.counts() == {"warning": 2}


def test_they_are_found_by_name_severity_and_label():
    book = Incidents()
    book.take(change("Pump-1", offset=1, labels='{"site": "north"}'))
    book.take(change("tank", offset=2, severity="critical", labels='{"site": "south"}'))
    book.take(change("else", offset=3, labels="no JSON"))

    def found(*wanted: str) -> list[str]:
        return sorted(one.newest.series for one in book.find("all", *wanted))

    assert found("pump", "", "") == ["Pump-1"]
    assert found("", "critical", "") == ["tank"]
    assert found("", "", "site=north") == ["Pump-1"]
    assert found("", "", "site") == ["Pump-1", "tank"]
    assert found("", "", "site=east") == []


def test_a_verdict_may_come_before_its_incident_and_the_newest_counts():
    book = Incidents()
    book.say(verdict(verdict="true"))
    book.take(change())
    assert book.find("all", "", "", "")[0].document()["verdict"]["verdict"] == "true"
    book.say(verdict(verdict="false alarm", acknowledged=True, comment="a test", at=6))
    said = book.find("all", "", "", "")[0].document()["verdict"]
    assert said == {"verdict": "false alarm", "acknowledged": True, "comment": "a test", "by": "ann", "at": 6}
    book.take(change(number=1, what="resolved"))
    assert book.get(place_of(change())).verdict.at == 6


def test_what_is_found_is_of_now():
    book = Incidents()
    assert book.find("all", "", "", "") == []
    book.take(change())
    assert len(book.find("all", "", "", "")) == 1
    book.say(verdict(acknowledged=True))
    assert book.find("all", "", "", "")[0].verdict.acknowledged
    assert book.find("all", "", "", "") is book.find("all", "", "", "")
    for number in range(1_000):
        book.find("all", str(number), "", "")
    assert len(book._found) <= 100


def test_no_more_are_known_than_the_bounds_say():
    book = Incidents(most_open=10, most_resolved=5)
    for at in range(50):
        book.take(change(f"s{at}", time=at, offset=at))
    assert len(book.find("open", "", "", "")) == len(book.by_series) == 10
    for at in range(40, 50):
        book.take(change(f"s{at}", time=at, offset=at, number=1, what="resolved"))
    assert [one.newest.series for one in book.find("all", "", "", "")] == [f"s{at}" for at in range(49, 44, -1)]
    assert book.by_series == {}


@pytest.mark.parametrize("message", [None, b"", b"{}", b"[1", b"\xff", b'{"place": 1}'])
def test_what_is_no_verdict_is_nobody_s(message):
    assert decode(message) is None


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A series that is 1 and 2 by turns, and 9 at minute 150; what was said of that, of minute 50, and elsewhere."""
    rows = [f"{BEGIN + 60 * at},{9 if at == 150 else 1 + at % 2}\n" for at in range(200)]
    readings = tmp_path / "pump.csv"
    readings.write_text("timestamp,value\n" + "".join(rows))

    def said(minute: int, what: str | None, place: str, series: str = "pump") -> bytes:
        time = 1000 * (BEGIN + 60 * minute)
        return msgspec.json.encode(verdict(place=place, series=series, time=time, last_time=time, verdict=what))

    lines = [
        said(150, "false alarm", "a"),
        said(150, "true", "a"),  # the newest counts
        said(50, "true", "b"),
        said(60, "false alarm", "c"),
        said(70, None, "d"),
        said(150, "true", "e", "tank"),
        b"something else",
    ]
    verdicts = tmp_path / "verdicts.jsonl"
    verdicts.write_bytes(b"\n".join(lines) + b"\n")
    return readings, verdicts, tmp_path / "rules.yaml"


def scores(files, *more: object) -> list[dict]:
    readings, verdicts, rules = files
    arguments = ["try", readings, "--rules", rules, "--verdicts", verdicts, *more]
    result = CliRunner().invoke(app, [str(part) for part in [*arguments, "--json"]])
    assert result.exit_code == 0, result.output
    return [
        {name: len(found) if isinstance(found, list) else found for name, found in one.items()}
        for one in json.loads(result.stdout)["verdicts"]
    ]


def test_rules_are_scored_by_verdicts(files, tmp_path):
    files[2].write_text(RULES)
    sees = {"found": 1, "missed": 1, "raised": 0, "spared": 1, "elsewhere": 1}
    assert scores(files) == [sees]
    files[2].write_text(NO_INCIDENTS)
    assert scores(files) == [sees]
    files[2].write_text(BLIND)
    blind = {"found": 0, "missed": 2, "raised": 0, "spared": 1, "elsewhere": 1}
    assert scores(files) == [blind]
    (other := tmp_path / "other.yaml").write_text(RULES)
    assert scores(files, "--against", other) == [blind, sees]


def test_tables_name_what_is_missed(files):
    files[2].write_text(BLIND)
    shown = CliRunner().invoke(app, ["try", str(files[0]), "--rules", str(files[2]), "--verdicts", str(files[1])])
    assert "Verdicts, --rules: 0 of 2 true incidents are found, 0 of 1 false alarms are raised again" in shown.output
    assert "True incidents that --rules misses" in shown.output


def test_a_file_without_verdicts_is_refused(files, tmp_path):
    files[2].write_text(RULES)
    for wrong in (tmp_path / "none", files[0]):
        result = CliRunner().invoke(app, ["try", str(files[0]), "--verdicts", str(wrong)])
        assert "--verdicts" in str(result.exception)
