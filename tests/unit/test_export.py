"""Tables in files: CSV and Parquet hold the same; a file is there when it is complete."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from oda.cli.main import app
from oda.core.kinds import ANOMALIES, WINDOWS, Anomaly, ClosedWindow
from oda.errors import UserError
from oda.export.files import created
from oda.export.tables import COLUMNS, of_readings, of_rows

HOSTILE = 'a,"\n\u202e'
TIME = 1_732_300_000_123

READINGS = [("pump", 2, [(40 + n, TIME + n, 0.1 + n) for n in range(3)]), (HOSTILE, 0, [(7, 0, -1e100)])]
ANOMALY = Anomaly(HOSTILE, TIME, 5, 9.0, 1.0, 0.5, 7, 0, "sigma/1", 100.0, 1.0, -1.0, 3.0, found_at=5, rules=0)


def written(path: Path | None, table: str, parts) -> None:
    with created(path, COLUMNS[table]) as file:
        for columns in parts:
            file.write(columns)


def rows_of(path: Path) -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_readings_are_the_same_in_either_file_and_only_those_that_are_wanted(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "readings", of_readings(READINGS, bool))
    written(tmp_path / "a.parquet", "readings", of_readings(READINGS, bool))
    rows = rows_of(tmp_path / "a.csv")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert [row["series"] for row in rows] == table["series"].to_pylist() == ["pump"] * 3 + [HOSTILE]
    assert [float(row["value"]) for row in rows] == table["value"].to_pylist() == [0.1, 1.1, 2.1, -1e100]
    assert [datetime.fromisoformat(row["time"]) for row in rows] == table["time"].to_pylist()
    assert rows[0]["time"] == "2024-11-22T18:26:40.123Z"
    assert table["time"].to_pylist()[3] == datetime.fromtimestamp(0, UTC)
    assert [int(row["offset"]) for row in rows] == table["offset"].to_pylist() == [40, 41, 42, 7]
    written(tmp_path / "a.csv", "readings", of_readings(READINGS, HOSTILE.__eq__))
    assert len(rows_of(tmp_path / "a.csv")) == 1


def test_what_a_row_of_a_former_version_lacks_is_nothing(tmp_path: Path) -> None:
    window = WINDOWS.document("readings", 3, ClosedWindow("pump", 0, 2000, 9, 10.0, 0.5, 0, 8, 9, "data", 0))
    del window["rules"]
    anomaly = ANOMALIES.document("readings", 1, ANOMALY)
    for name in ("a.csv", "a.parquet"):
        written(tmp_path / name, "windows", of_rows("windows", [window, window], bool))
        written(tmp_path / f"anomalies-{name}", "anomalies", of_rows("anomalies", [anomaly], bool))
    assert [row["rules"] for row in rows_of(tmp_path / "a.csv")] == ["", ""]
    assert parquet.read_table(tmp_path / "a.parquet")["rules"].to_pylist() == [None, None]
    found = parquet.read_table(tmp_path / "anomalies-a.parquet").to_pylist()[0]
    del anomaly["topic"]
    assert found == anomaly | {
        name: datetime.fromtimestamp(anomaly[name] / 1000, UTC) for name in ("window_start",)
    } | {"time": datetime(2024, 11, 22, 18, 26, 40, 123_000, UTC)}


def test_of_nothing_there_is_a_table_without_rows(tmp_path: Path) -> None:
    for table in COLUMNS:
        written(tmp_path / "a.csv", table, [])
        written(tmp_path / "a.parquet", table, [])
        assert (tmp_path / "a.csv").read_text() == ",".join(COLUMNS[table]) + "\n"
        assert parquet.read_table(tmp_path / "a.parquet").num_rows == 0
        assert parquet.read_table(tmp_path / "a.parquet").column_names == list(COLUMNS[table])


def test_a_file_is_replaced_when_all_is_written_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("former")

    def breaks():
        yield from of_readings(READINGS, bool)
        assert path.read_text() == "former"
        raise UserError("Cassandra is away")

    with pytest.raises(UserError, match="away"):
        written(path, "readings", breaks())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.parquet", "former")]
    written(path, "readings", of_readings(READINGS, bool))
    assert parquet.read_table(path).num_rows == 4


@pytest.mark.parametrize("name", ["a.xlsx", "a", "nowhere/a.csv", "nowhere/a.parquet"])
def test_a_file_that_can_not_be_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=name):
        written(tmp_path / name, "readings", [])


def test_without_pyarrow_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install --editable '\.\[parquet\]'"):
        written(tmp_path / "a.parquet", "readings", [])
    written(tmp_path / "a.csv", "readings", [])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_exported_can_be_tried(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pumps.{kind}"
    many = [("pump-7", 1, [(n, TIME + 100 * n, 50.0 if n == 150 else float(n % 3)) for n in range(200)])]
    written(path, "readings", of_readings(many, bool))
    found = CliRunner().invoke(app, ["try", str(path), "--json"])
    assert found.exit_code == 0, found.output
    (anomaly,) = json.loads(found.stdout)["anomalies"]
    assert (anomaly["series"], anomaly["time"], anomaly["value"]) == ("pump-7", TIME + 15_000, 50.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "yesterday"], "--since: 'yesterday' is not a time"),
        (["--since", "2026-11-25", "--until", "2026-11-24"], "--since 2026-11-25 is not before --until 2026-11-24"),
    ],
)
def test_a_mistake_is_told_before_anything_is_opened(arguments: list[str], told: str) -> None:
    found = CliRunner().invoke(app, ["export", "readings", "a.csv", *arguments])
    assert isinstance(found.exception, UserError)
    assert told in str(found.exception)
