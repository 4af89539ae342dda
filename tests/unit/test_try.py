"""The command `oda try`, and the page that it writes."""

from __future__ import annotations

import html
import json
import os
import re
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pyarrow
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner, Result

from oda.cli.main import app
from oda.errors import UserError
from oda.trial.guess import Given
from oda.trial.source import opened

BEGIN = 1_700_000_000
HOSTILE = '</script><img src=x onerror=alert("1")>\u202e@data@'

STUDENT = "rules:\n  - series: '*'\n    window: {size: 10m}\n    detectors: [{use: student, incident: {}}]\n"


def csv_of(path: Path, *series: str, count: int = 200, spike: int = 150) -> Path:
    """A reading a minute of each series: 1 and 2 by turns, and 9 once."""
    rows = [
        f'{BEGIN + 60 * number},{9 if number == spike else 1 + number % 2},"{name.replace(chr(34), chr(34) * 2)}"\n'
        for number in range(count)
        for name in series
    ]
    path.write_text("timestamp,value,series\n" + "".join(rows))
    return path


def oda(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["try", *map(str, arguments)])


def found_in(*arguments: object) -> dict:
    result = oda(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(STUDENT)
    return path


def test_tables_say_what_was_found_incidents_first(tmp_path, rules):
    result = oda(csv_of(tmp_path / "pumps.csv", "a", "b"), "--rules", rules)
    assert result.exit_code == 0
    assert "400 readings of 2 series, 2023-11-14 22:13:20 to 2023-11-15 01:32:20 (UTC): 2 incidents" in result.stdout
    assert result.stdout.index("Incidents") < result.stdout.index("Anomalies") < result.stdout.index("\nSeries")
    assert "times are taken for numbers of s" in result.stderr


def test_json_has_everything(tmp_path, rules):
    found = found_in(csv_of(tmp_path / "pumps.csv", "a"), "--rules", rules)
    [anomaly], [incident] = found["anomalies"], found["incidents"]
    assert (anomaly["series"], anomaly["time"], anomaly["value"]) == ("a", (BEGIN + 9000) * 1000, 9)
    assert (incident["detector"], incident["count"], incident["worst_value"]) == ("student/1", 1, 9)
    assert found["series"]["a"]["readings"] == 200
    assert found["left_out"] == {"rows": 0, "first": []}


def test_a_file_without_a_series_column_is_one_series_named_after_it(tmp_path):
    file = tmp_path / "pump-7.csv"
    file.write_text("Time;Pressure\n2024-01-01 00:00:00;1,5\n2024-01-01 00:00:01;2.5\n")
    result = oda(file, "--json")
    assert result.exit_code == 1
    assert "'1,5' is not a number" in result.stderr
    assert list(json.loads(result.stdout)["series"]) == ["pump-7"]


def test_readings_may_come_from_stdin_as_csv_or_as_messages(monkeypatch):
    def from_stdin(text: str) -> list[tuple[list[str], list[int]]]:
        read, write = os.pipe()
        os.write(write, text.encode())
        os.close(write)
        with open(read) as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            with opened(None, Given("stdin"), bad=print) as source:
                return [(part.names, part.times.tolist()) for part in source.parts if source.done() == 0]

    assert from_stdin("ts,v\n1700000000,1\n1700000001,2\n") == [(["stdin"], [1_700_000_000_000, 1_700_000_001_000])]
    lines = [
        '{"series": "a", "time": 1700000000, "value": 1}',
        "",
        '{"series": "b", "time": "2024-01-01T00:00:00Z", "value": 2}',
    ]
    assert from_stdin("\n".join(lines)) == [(["a", "b"], [1_700_000_000_000, 1_704_067_200_000])]


def test_messages_that_are_no_readings_are_left_out_with_their_lines(tmp_path):
    file = tmp_path / "messages.ndjson"
    file.write_text(
        '{"series": "a", "time": 1700000000000, "value": 1}\n{"series": "a"}\n\n{"series": "a", "time": 5}\n'
    )
    result = oda(file)
    assert result.exit_code == 1
    assert "messages.ndjson:2: left out: not a reading" in result.stderr
    assert "messages.ndjson:4: left out: not a reading" in result.stderr


def test_parquet_is_read_as_the_same_readings(tmp_path, rules):
    file = csv_of(tmp_path / "pumps.csv", "a", 'b "quoted"')
    table = csv.read_csv(file)
    times = table["timestamp"].cast(pyarrow.timestamp("s"))
    parquet.write_table(table.set_column(0, "timestamp", times), tmp_path / "pumps.parquet")
    assert found_in(tmp_path / "pumps.parquet", "--rules", rules) == found_in(file, "--rules", rules)


def test_without_pyarrow_a_parquet_file_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "pumps.parquet").write_bytes(b"PAR1....PAR1")
    result = oda(tmp_path / "pumps.parquet")
    assert isinstance(result.exception, UserError)
    assert "install pyarrow" in str(result.exception)


def test_against_other_rules_it_tells_what_is_gained_and_lost(tmp_path, rules):
    other = tmp_path / "other.yaml"
    other.write_text(STUDENT.replace("'*'", "a"))
    file = csv_of(tmp_path / "pumps.csv", "a", "b")
    against = found_in(file, "--rules", rules, "--against", other)["against"]
    assert [one["series"] for one in against["anomalies"]["gained"]] == ["b"]
    assert [one["series"] for one in against["anomalies"]["same"]] == ["a"]
    result = oda(file, "--rules", other, "--against", rules, "--page", tmp_path / "page.html")
    assert "Incidents: 1 are the same, 0 are gained, 1 are lost" in result.stdout
    assert "Incidents that are lost" in (tmp_path / "page.html").read_text()


def test_rules_that_are_wrong_are_told_as_by_oda_rules_check(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules:\n  - series: a\n    windows: 5\n")
    result = oda(csv_of(tmp_path / "pumps.csv", "a"), "--rules", wrong)
    assert result.exit_code == 1
    assert f"{wrong}:3:5: rules[0].windows: there is no such field" in result.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("", "there is nothing in it"),
        ("timestamp,value\n", "there is no reading in it"),
        ("a,b,c\n1,2,3\n", "there is no column 'timestamp', 'value'; the columns are: 'a', 'b', 'c'"),
    ],
)
def test_a_file_that_has_no_readings_says_why(tmp_path, content, reason):
    file = tmp_path / "file.csv"
    if content is not None:
        file.write_text(content)
    result = oda(file)
    assert isinstance(result.exception, UserError)
    assert reason in str(result.exception)


def test_no_config_is_needed_unless_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = csv_of(tmp_path / "pumps.csv", "a")
    assert oda(file).exit_code == 0
    result = CliRunner().invoke(app, ["--config", "other.json", "try", str(file)])
    assert isinstance(result.exception, UserError)


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.policy = ""
        self.inside: dict[str, str] = {}
        self._tag = ""
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._tag = tag
        values = dict(attributes)
        self.links += [value for name, value in attributes if name in ("src", "href", "style") or name.startswith("on")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag == "script" and "id" in values:
            self._tag = values["id"]

    def handle_data(self, data):
        self.inside[self._tag] = self.inside.get(self._tag, "") + data

    def handle_endtag(self, _tag):
        self._tag = ""


@pytest.fixture
def page(tmp_path, rules) -> Page:
    file = csv_of(tmp_path / "pumps.csv", "a", HOSTILE, count=5000)
    assert oda(file, "--rules", rules, "--page", tmp_path / "page.html").exit_code == 0
    return Page(tmp_path / "page.html")


def test_the_page_needs_nothing_else_and_its_policy_lets_nothing_else_run(page):
    assert (page.links, page.tags.count("script"), page.tags.count("img")) == ([], 2, 0)
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert page.policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        digest = b64encode(sha256(page.inside[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.policy


def test_a_hostile_name_is_text_on_the_page(page):
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert {one["name"] for one in json.loads(page.inside["data"])["series"]} == {"a", shown}
    assert html.escape(shown) in page.text
    assert "<img" not in page.text


def test_charts_have_the_extremes_of_each_pixel_the_band_and_the_anomalies(page):
    [series] = [one for one in json.loads(page.inside["data"])["series"] if one["name"] == "a"]
    assert len(series["times"]) == len(series["values"]) <= 3000
    assert max(series["values"]) == 9
    [band] = series["bands"]
    assert len(band["low"]) == len(band["high"]) == len(series["values"])
    assert band["low"][0] is None
    assert band["low"][-1] < 1 < 2 < band["high"][-1]
    assert [(one["time"], one["value"]) for one in series["anomalies"]] == [((BEGIN + 9000) * 1000, 9)]
    assert len(series["incidents"]) == 1


def test_a_terminal_is_not_commanded_by_a_name(tmp_path):
    result = oda(csv_of(tmp_path / "pumps.csv", "\u202ea"))
    assert "\\u202ea" in result.stdout
    assert not re.search("[\u202e\x1b]", result.stdout)
