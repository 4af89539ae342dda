"""`oda export` and `oda try` over what a running topology has, as a person types them; and the notebook in docs."""

import csv
import json
from contextlib import closing
from datetime import datetime

import pytest
from pyarrow import parquet

from oda.core.kinds import ANOMALIES, OF_SERIES, WINDOWS
from oda.paths import BIN, ROOT
from oda.stores.archive import unpack
from oda.stores.cassandra import CassandraStore
from support import wait_until

ALL = ("--since", "2000-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z")


RULES = "rules: [{series: '*', incident: {quiet: 1m}}]\n"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def walked(stream, rules):
    """With readings of now, some of which are anomalies, and all windows closed."""
    stream.oda("rules", "apply", rules)
    stream.oda("collect", "walk", "--series", 8, "--rate", 2_000, "--count", 20_000, "--spikes", 500)
    stream.verify()  # what is drained has tables
    with closing(CassandraStore(stream.settings)) as store:
        wait_until(lambda: len(silent(store)) == 8, "the clock does not close the last windows")
    stream.verify()
    return stream


def silent(store) -> set[str]:
    """Series of which the clock has closed a window."""
    return {row["series"] for _, row in store.rows(WINDOWS) if row["closed_by"] == "clock"}


@pytest.fixture(scope="module")
def stored(walked):
    """By table, what Cassandra has, by place; of readings by partition and offset."""
    with closing(CassandraStore(walked.settings)) as store:
        found = {kind.name: {kind.place(row): row for _, row in store.rows(kind)} for kind in OF_SERIES}
        found["readings"] = {
            (row.series, row.partition, offset): (time, value)
            for row in store.readings()
            for offset, time, value in zip(
                *(column.tolist() for column in unpack(row.first_offset, row.data)), strict=True
            )
        }
    return found


@pytest.mark.parametrize("kind", OF_SERIES, ids=lambda kind: kind.name)
def test_each_row_is_in_the_file_once_with_all_its_fields(walked, stored, tmp_path, kind):
    table = tmp_path / "table.parquet"
    told = walked.oda("export", kind.name, table, *ALL).stderr
    rows = parquet.read_table(table).to_pylist()
    assert told == f"oda: {len(rows):,} {kind.name} in {table}\n"
    found = {}
    for row in rows:
        times = {name: round(value.timestamp() * 1000) for name, value in row.items() if isinstance(value, datetime)}
        row |= times | {"topic": walked.settings.kafka.readings}
        found[kind.place(row)] = row
    assert len(found) == len(rows)
    assert found == stored[kind.name]


def test_readings_come_as_csv_too_by_series_and_time(walked, stored):
    span = sorted(time for time, _ in stored["readings"].values())
    since, until = span[len(span) // 4], span[len(span) // 2]
    printed = walked.oda("export", "readings", "-", "--since", since, "--until", until, "--series", "walk-[0-3]").stdout
    rows = list(csv.DictReader(printed.splitlines()))
    found = {
        (row["series"], int(row["partition"]), int(row["offset"])): (
            round(datetime.fromisoformat(row["time"]).timestamp() * 1000),
            float(row["value"]),
        )
        for row in rows
    }
    assert len(found) == len(rows) > 0
    assert found == {
        place: reading
        for place, reading in stored["readings"].items()
        if place[0] in {"walk-0", "walk-1", "walk-2", "walk-3"} and since <= reading[0] < until
    }


@pytest.mark.parametrize("source", [("--topic", "--from", 0), ("--archive", "--from", "2000-01-01T00:00:00Z")])
def test_a_trial_over_the_running_system_finds_what_that_has_found(walked, stored, source, rules):
    found = json.loads(walked.oda("try", *source, "--series", "walk-[0-3]", "--rules", rules, "--json").stdout)
    names = {f"walk-{number}" for number in range(4)}
    assert {name: counts["readings"] for name, counts in found["series"].items()} == {
        name: sum(place[0] == name for place in stored["readings"]) for name in names
    }
    live = sorted(stored["anomalies"].values(), key=lambda row: (row["series"], row["offset"]))
    fields = [field.name for field in ANOMALIES.fields if field.name != "rules"]
    assert [[row[name] for name in fields] for row in live if row["series"] in names] == [
        [row[name] for name in fields]
        for row in sorted(found["anomalies"], key=lambda row: (row["series"], row["offset"]))
    ]
    opened = {(row["series"], row["offset"]) for row in stored["incidents"].values() if row["series"] in names}
    assert {(row["series"], row["offset"]) for row in found["incidents"]} == opened
    assert opened


def test_the_notebook_runs_from_its_first_cell_to_its_last(walked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODA_CONFIG", str(walked.config))
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = json.loads((ROOT / "docs/explore.ipynb").read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells), "what a machine showed is not for the repository"
    names = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert "20,000 readings of 8 series" in names["tried"].stdout
    assert names["sigmas"] > 0
