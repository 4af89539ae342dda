"""A store that docs/stores.md has added, tried as the topology and the audit would (see test_stores_page.py)."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from oda.audit.audit import Auditor
from oda.audit.expected import Expected
from oda.audit.reference import Reference
from oda.core.kinds import ANOMALIES, WINDOWS, Kind
from oda.core.reading import Reading, encode
from oda.errors import Refused
from oda.isolated import isolated
from oda.settings import Settings, load_settings
from oda.stores.catalogue import STORES
from oda.stores.contract import Rows, Store

STORE = next(store for store in STORES if store.name == "sqlite")
READINGS = [Reading("ab"[n % 2], 700 * n, 5.0 + n % 5 + 1000 * (n % 11 == 10)) for n in range(60)]


def is_in_the_graph() -> None:
    spec = importlib.util.spec_from_file_location("graph", "topologies/analytics.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (sink,) = [spec for spec in module.Analytics.specs if spec.name == "sqlite"]
    inputs = {(stream.componentId, stream.streamId) for stream in sink.inputs}
    assert inputs == {("windows", "windows"), ("anomalies", "anomalies"), ("anomalies", "incidents")}
    script = sink.component_object.shell.script
    module_name, _, class_name = script.rpartition(".")
    assert getattr(importlib.import_module(module_name), class_name).description is STORE


def is_apart_from_others() -> None:
    options = json.loads(isolated(Path("config.json"), "local", Path()).read_text())["envs"]["local"]["options"]
    assert options["oda.sqlite.path"] == options["oda.kafka.group"] + ".sqlite"


def results(settings: Settings) -> tuple[list[Rows], Expected]:
    """Rows as the topology would send them, and what the audit expects."""
    reference, expected = Reference(settings), Expected(settings, {})
    for offset, reading in enumerate(READINGS):
        reference.read(offset, reading)
    assert reference.windows
    assert reference.anomalies
    log = [
        SimpleNamespace(offset=offset, timestamp=reading.time, timestamp_type=1, key=b"", value=encode(reading))
        for offset, reading in enumerate(READINGS)
    ]
    expected.read(3, log)
    return [Rows(WINDOWS, 3, 7, reference.windows), Rows(ANOMALIES, 3, 7, reference.anomalies)], expected


def audited(store: Store, expected: Expected, kind: Kind[Any]) -> int:
    """How many rows are wrong."""
    return Auditor(expected, {3: len(READINGS)}, lambda items, *_: items).compared(kind.name, "SQLite", store).faults


def takes_what_others_take(settings: Settings) -> None:
    items, expected = results(settings)
    with closing(STORE.open(settings)) as store:
        assert Path(settings.sqlite.path).stat().st_size == 0, "it changes something before it is told to"
        store.migrate()
        store.migrate()
        for kind in (WINDOWS, ANOMALIES):
            assert audited(store, expected, kind) == len(list(getattr(expected, kind.name)))
        store.write(items)
        store.write(items)
    with closing(STORE.open(settings)) as store:
        for kind in (WINDOWS, ANOMALIES):
            assert audited(store, expected, kind) == 0
        starts = [row["start"] for row in store.recent(WINDOWS, "a", 2000, 30_000)]
        assert starts == list(range(2000, 30_000, 2000))


def keeps_the_newer_of_two(settings: Settings) -> None:
    (windows, _), _ = results(settings)
    changed = msgspec.structs.replace(windows.rows[0], count=99)
    with closing(STORE.open(settings)) as store:
        store.write([windows._replace(clock=8, rows=[changed])])
        store.write([windows])
        place = WINDOWS.place(WINDOWS.document("readings", 3, changed))
        assert dict(store.rows(WINDOWS))[place]["count"] == 99


def gets_columns_that_are_new(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.sqlite.path)) as database:
        database.execute("ALTER TABLE windows DROP COLUMN late")
    (windows, _), expected = results(settings)
    with closing(STORE.open(settings)) as store:
        refused = False
        try:
            store.write([windows])
        except Refused as error:
            refused = "late" in str(error)
        assert refused, "it takes a row that it has no column for"
        store.migrate()
        store.write([windows._replace(clock=9)])
        assert audited(store, expected, WINDOWS) == 0
        store.drop()
        store.migrate()
        assert list(store.rows(WINDOWS)) == []


def main() -> None:
    settings = load_settings(Path("config.json"), "local")
    is_in_the_graph()
    is_apart_from_others()
    takes_what_others_take(settings)
    keeps_the_newer_of_two(settings)
    gets_columns_that_are_new(settings)
    print("all is well")


main()
