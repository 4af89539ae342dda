"""Every entrance for bytes from outside, each with an oracle that says what must come of them.

A target takes bytes and raises when they are handled wrongly: an exception that is not documented, another
meaning than the second implementation gives them, or a row that a store would not take.
"""

from __future__ import annotations

import csv
import json
import math
import re
import struct
import tempfile
import threading
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cassandra.cqltypes import DateType, DoubleType, Int32Type, LongType, UTF8Type
from elastic_transport.client_utils import url_to_node_config
from kafka.cluster import collect_hosts

from oda.audit.expected import Expected
from oda.audit.message import read_clock_record, read_derived_record, read_message, read_rule_record
from oda.cli.hints import Hints
from oda.cli.watch import Watcher
from oda.collect.check import Check
from oda.collect.csvfile import Columns
from oda.collect.csvfile import read as read_csv
from oda.collect.elements import elements_of
from oda.collect.lines import lists_of_lines
from oda.core import clock, rulemark, snapshot
from oda.core.batch import Batch, ClockMark, Closings, Readings
from oda.core.groups import derived
from oda.core.judgement import Judgement
from oda.core.kinds import ANOMALIES, OF_SERIES, WINDOWS, Document, Kind
from oda.core.log import read
from oda.core.reading import MAX_REASON, MAX_TIME, Reading, RejectedError, decode, encode
from oda.core.rules.match import digest
from oda.core.rules.parse import parse
from oda.core.rules.problem import RulesError
from oda.core.rules.shown import shown
from oda.core.snapshot import SnapshotError
from oda.core.windows import PartitionWindows
from oda.errors import UserError
from oda.results import Results
from oda.settings import Settings, SettingsError, load_options
from oda.stores import archive, keyspace
from oda.stores.contract import Rows
from oda.stores.elasticsearch import ElasticsearchStore
from oda.stores.indices import templates
from oda.stores.place import bucket_of, slot_of

NOW = 1_800_000_000_000
DAY = 86_400_000
MESSAGE = b'{"series": "pump-7", "time": 1732300000123, "value": 3.25}'
OPTIONS = {
    "oda.kafka.brokers": "127.0.0.1:9092",
    "oda.cassandra.hosts": "127.0.0.1:9042",
    "oda.elasticsearch.urls": "http://127.0.0.1:9200",
}


def is_reason(text: str) -> None:
    """A reason is there, can be shown, and is no copy of the message."""
    assert text, "there is no reason"
    assert text.isprintable(), f"the reason can't be shown: {text!r}"
    assert len(text) <= MAX_REASON, f"the reason has {len(text)} characters"


# -- a message, on its own --------------------------------------------------------------------------


def message(data: bytes) -> None:
    """A message is rejected with a reason, or it is the reading that the second implementation reads."""
    want = read_message(data, NOW, DAY)
    try:
        reading = decode(data, NOW, DAY)
    except RejectedError as error:
        is_reason(str(error))
        assert want is None, f"rejected ({error}), but it is {want}"
        return
    assert reading == want
    assert decode(encode(reading), NOW, DAY) == reading


def _decoded(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """A record; None if it is rejected, with a reason."""
    try:
        return decode(data)
    except RejectedError as error:
        is_reason(str(error))
        return None


def clock_record(data: bytes) -> None:
    """A clock record is rejected with a reason, or it is the one that the second implementation reads."""
    record, want = _decoded(clock.decode, data), read_clock_record(data)
    assert (record and (record.group, record.position, record.through, tuple(record.ended))) == want


def rule_record(data: bytes) -> None:
    """A rule record is rejected with a reason, or it is the one that the second implementation reads."""
    record, want = _decoded(rulemark.decode, data), read_rule_record(data)
    assert (record and (record.group, record.version, record.sha256)) == want


def derived_record(data: bytes) -> None:
    """A derived reading is rejected with a reason, or it is the one that the second implementation reads."""
    record, want = _decoded(derived.decode, data), read_derived_record(data)
    assert (record and (record.group, (record.series, record.time, record.value))) == want


def rules(data: bytes) -> None:
    """A file of rules is refused with lines that can be shown, or it says the same when its text is read again."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = parse(text, SETTINGS)
    except RulesError as error:
        assert error.problems
        for line in str(error).splitlines():
            assert line.isprintable(), f"can't be shown: {line!r}"
            assert len(line) < 1500
        return
    assert parse(found.text, SETTINGS).entries == found.entries
    assert parse(shown(found), SETTINGS).entries == found.entries
    assert found.of("pump-7/power") is found.of("pump-7/power")


# -- messages as a partition's log, as far as the stores' types -------------------------------------


class Record(NamedTuple):
    """A Kafka record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    timestamp_type: int = 1
    by_broker: bool = True


def log(data: bytes) -> None:
    """Lines are a log: its rows are those of one pass, and each store takes them.

    Those with a `@` are the clock's, those with a `%` rule records, those with a `#` readings of groups.
    """
    keys = {b"@": clock.KEY, b"%": rulemark.KEY, b"#": derived.KEY}
    records = [
        Record(offset, NOW, keys.get(line[:1]), line[line[:1] in keys :])
        for offset, line in enumerate(data.split(b"\n"))
    ]
    machine, judgement = PartitionWindows(SETTINGS), Judgement(SETTINGS)
    rejected, windows, anomalies = [], [], []
    middle = len(records) // 2
    for part in (records[:middle], records[middle:]):
        start = machine.position
        found = read(part, SETTINGS.kafka.group, DAY, RULES.__getitem__)
        of_batch = found.readings, found.marks, found.rules
        batch = _through_storm(Batch(0, 1, 1, start, start + len(part), 0, NOW, *of_batch))
        machine.apply(batch)
        machine = snapshot.decode([snapshot.encode(machine)], PartitionWindows(SETTINGS))
        outputs = machine.outputs(batch)
        windows += outputs["closed"]
        judgement.apply(batch._replace(closings=Closings.from_text(Closings.of(0, outputs).to_text())))
        judgement = snapshot.decode([snapshot.encode(judgement)], Judgement(SETTINGS))
        anomalies += judgement.outputs(batch)["anomalies"]
        rejected += [part[number].offset for number in found.rejected]
        _archived(batch.readings)
    expected = Expected(SETTINGS, RULES)
    expected.read(0, records)
    assert sorted(rejected) == sorted(offset for _, offset in expected.rejected)
    for kind, rows, documents in ((WINDOWS, windows, expected.windows), (ANOMALIES, anomalies, expected.anomalies)):
        stored = _documents(kind, rows)
        assert stored == {f"{_index(kind, document)}/{kind.place(document)}": document for document in documents}
        for document in stored.values():
            _is_storable(document)


def _through_storm(batch: Batch) -> Batch:
    return Batch.from_tuple(json.loads(json.dumps(batch.to_tuple())))


def _archived(readings: Readings) -> None:
    found = []
    for row in archive.pack(*readings):
        Int32Type.serialize(row.slot, 5)
        found += [(offset, row.series, time, value) for offset, time, value in archive.readings([row[2::2]])]
    names = [readings.names[index] for index in readings.series]
    assert sorted(found) == list(zip(readings.offsets, names, readings.times, readings.values, strict=True))


def _documents(kind: Kind[Any], rows: list[Any]) -> dict[str, Document]:
    """As they are sent to Elasticsearch, by index and id."""
    actions = list(INSIGHTS.actions(Rows(kind, 0, NOW, rows)))
    assert len(actions) == len({action["_id"] for action in actions})
    for action in actions:
        assert re.fullmatch(rf"oda-{kind.name}-(20[2-9]\d\.\d\d|19[789]0s|20[01]0s)", action["_index"])
    return {f"{action['_index']}/{action['_id']}": action["_source"] for action in actions}


def _index(kind: Kind[Any], row: Document) -> str:
    """A second implementation of which index a row is in."""
    month = str(np.datetime64(row[kind.time], "ms").astype("datetime64[M]")).replace("-", ".")
    return f"oda-{kind.name}-{month if month >= '2020' else month[:3] + '0s'}"


def _is_storable(document: Document) -> None:
    """JSON has no NaN and no infinity, Cassandra's types have bounds, and all must come back as it was."""
    assert json.loads(json.dumps(document, allow_nan=False).encode()) == document
    assert 0 <= bucket_of(document["series"], 64) < 64
    Int32Type.serialize(slot_of(document["start"] if "start" in document else document["time"]), 5)
    for name, value in document.items():
        if name in ("start", "end", "time", "window_start"):
            assert 0 <= value <= 2 * MAX_TIME
            DateType.serialize(value, 5)
        else:
            type_ = {str: UTF8Type, int: LongType, float: DoubleType}[type(value)]
            assert type_.deserialize(type_.serialize(value, 5), 5) == value


# -- settings ---------------------------------------------------------------------------------------


def settings(data: bytes) -> None:
    """A config.json is refused with a reason, or what it says works."""
    CONFIG.write_bytes(data)
    try:
        options = load_options(CONFIG, "local")
        found = Settings.from_options(options)
    except SettingsError as error:
        assert str(error)
        for line in str(error).splitlines():
            assert line.isprintable(), f"can't be shown: {line!r}"
            assert len(line) < 1000
        return
    _works(found)


def _works(found: Settings) -> None:
    """Its values are what servers, clients and the machine take."""
    assert not {".", ".."} & set(found.kafka.topics)
    struct.pack(">ih", found.kafka.partitions, 0)
    assert len(collect_hosts(found.kafka.brokers, randomize=False)) == found.kafka.brokers.count(",") + 1
    assert all(found.cassandra.contact_points)
    assert 0 < found.cassandra.port < 2**16
    assert 0 < found.cassandra.ttl_days * 86_400 < 2**31
    assert all(keyspace.statements(found.cassandra))
    assert templates(found.elasticsearch)
    for url in found.elasticsearch.urls.split(","):
        url_to_node_config(url, use_default_ports_for_scheme=True)
    for ms in (found.cassandra.timeout_ms, found.readings.clock_ms, found.snapshots.interval_ms):
        assert 0 < ms / 1000 <= threading.TIMEOUT_MAX
    machine = PartitionWindows(found)
    readings = Readings.of([0, 1], [Reading("a", 0, 1.0), Reading("a", MAX_TIME, 2.0)])
    batch = Batch(0, 1, 1, 0, 2, 0, NOW, readings)
    machine.apply(batch)
    Judgement(found).apply(batch._replace(closings=Closings.of(0, machine.outputs(batch))))
    last = batch._replace(start=2, end=3, readings=Readings.of([], []), marks=[ClockMark(2, 2, {"a": MAX_TIME})])
    machine.apply(last)
    rows = [*machine.outputs(batch)["closed"], *machine.outputs(last)["closed"]]
    assert len(rows) == 2
    for row in rows:
        DateType.serialize(row.end, 5)


# -- what collectors take -----------------------------------------------------------------------------


def request(data: bytes) -> None:
    """Each element of a request's body is a reading or rejected, and none is lost."""
    try:
        elements = elements_of(data)
    except RejectedError as error:
        is_reason(str(error))
        return
    readings, rejected = Check(DAY).all(elements, NOW)
    reasons = dict(rejected)
    for reason in reasons.values():
        is_reason(reason)
    want = {number: read_message(element, NOW, DAY) for number, element in elements}
    assert [reading for reading in want.values() if reading] == readings
    assert reasons.keys() == {number for number, reading in want.items() if not reading}
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, list):
        assert repr([json.loads(element) for _, element in elements]) == repr(whole)


def lines(data: bytes) -> None:
    """However a stream comes in pieces, its lines are the same."""
    step, text = (data[0] % 16 + 1, data[1:]) if data else (1, b"")
    stream = BytesIO(text)
    found = [line for group in lists_of_lines(lambda _: stream.read(step)) for line in group]
    want = text.split(b"\n")
    assert found == (want if want[-1] else want[:-1])


def csv_file(data: bytes) -> None:
    """Each row of a CSV file is a reading that the topology accepts too, or reported with its line."""
    text = data.decode("utf-8", "surrogateescape")
    rows = StringIO(text, newline="")
    columns = Columns("timestamp", "value", "pump", "series" if "series" in text else None)
    bad: list[int] = []

    def report(first: int, last: int, reason: str) -> None:
        bad.append(first)
        assert first <= last
        assert reason.strip()
        assert len(reason) <= MAX_REASON

    try:
        readings = list(read_csv(rows, columns, lambda row: Check(0).one(row, MAX_TIME), report))
    except UserError as error:
        assert len(str(error)) < 1000
        assert str(error).isprintable()
        return
    for reading in readings:
        assert read_message(encode(reading), MAX_TIME, 0) == reading
    assert len(readings) + len(bad) == _rows_and_errors(text) - 1


def _rows_and_errors(text: str) -> int:
    reader, count = csv.reader(StringIO(text, newline=""), strict=True), 0
    while True:
        try:
            count += bool(next(reader))
        except csv.Error:
            count += 1
        except StopIteration:
            return count


# -- what comes back from stores ----------------------------------------------------------------------


def damaged_snapshot(data: bytes) -> None:
    """Bytes are refused as a snapshot, or they are one that says the same when it is written again."""
    try:
        machine = snapshot.decode([data], PartitionWindows(SETTINGS))
    except SnapshotError as error:
        assert str(error).isprintable()
        return
    if len(data) > 6 and data[-6:-4] == b"\xc4\x04":  # it has a checksum
        assert snapshot.encode(machine) == data


def archive_row(data: bytes) -> None:
    """A row of the archive is refused, or has a reading for each 20 bytes."""
    try:
        columns = archive.unpack(7, data)
    except ValueError:
        assert len(data) % 20 or not data
        return
    assert {len(column) for column in columns} == {len(data) // 20}
    found = [offset for offset, _, _ in archive.readings([(7, data)])]
    assert min(found) >= 7


def watch(data: bytes) -> None:
    """Whatever is in the topics of results, it is shown as a line or counted as unreadable."""
    results, watcher = Results(SETTINGS.kafka), Watcher(Hints(2, tell=lambda _: None))
    for topic in (SETTINGS.kafka.windows, SETTINGS.kafka.anomalies, SETTINGS.kafka.incidents):
        before = results.unreadable
        result = results.take(topic, data)
        assert (result is None) == (results.unreadable > before)
        assert result is None or watcher.line(result).plain.isprintable()


# -- seeds: small examples to start from, and words to put in -------------------------------------------


class Target(NamedTuple):
    """What is fuzzed, where it begins, and how often the test runs it."""

    run: Callable[[bytes], None]
    seeds: list[bytes]
    runs: int


def _messages() -> list[bytes]:
    times = [
        '"2024-11-22T19:26:40.1239995+01:00"', '"2016-12-31T23:59:60Z"', '"0001-01-01 00:00:00z"',
        '"9999-12-31T23:59:59.9999999-23:59"', "0", "-1", "1e3", str(MAX_TIME), str(2**63), "9" * 4301,
    ]  # fmt: skip
    values = ["1e100", "-1e100", "1e101", "5e-324", "1.7976931348623157e308", "-0", "-0.0", "1" + "0" * 400, "NaN"]
    names = ['"\\ud83d\\ude00"', '"\\ud800"', '""', '"\\u0000\\n"', '"' + "x" * 250 + '"', '".."', "7", "null"]
    given = [("1", time, '"a"') for time in times]
    given += [(value, "1", '"a"') for value in values] + [("1", "1", name) for name in names]
    made = [f'{{"series":{name},"time":{time},"value":{value}}}'.encode() for value, time, name in given]
    made += [
        MESSAGE[:-1] + more + b"}" for more in (b',"x":[{"y":"\\ud800"}]', b',"value":1e999,"value":2', b',"x":1e999')
    ]
    made.append(MESSAGE[:-1] + b',"x":' + b'{"\\u0061":' * 499 + b"1" + b"}" * 500)
    return [*made, MESSAGE, b"", b"\xef\xbb\xbf" + MESSAGE, MESSAGE.replace(b"pump", b"pu\xffp"), b"[" * 600]


def _clock_records() -> list[bytes]:
    good, ended = clock.encode("oda", 7, {"pump-7": 2000, "b\\u00e9": MAX_TIME}, ["pump-7", "pump-8"])
    wrong = (good.replace(b"7", b"-7"), good.replace(b"2000", b"2e3"), good[:-1] + b',"position":1,"x":[NaN]}')
    return [good, ended, ended.replace(b"[", b"[[]"), *wrong, b"", b"{}", good.replace(b"oda", b"\xff")]


def _log() -> list[bytes]:
    """Extremes in windows that close: sums, deviations and distances must stay numbers."""
    steps = [(0, 1e100), (1, -1e100), (2000, 5e-324), (2001, -0.0), (9000, 1e100), (1, 3.0), (NOW, -1e100)]
    extreme = b"\n".join(encode(Reading("\0/..\U0001f600", time, value)) for time, value in steps)
    years = b"\n".join(encode(Reading("a", year * 365 * DAY, year % 7)) for year in range(54))
    silent, ended = clock.encode("oda", 2, {"a": 365 * DAY, "pump-7": NOW}, ["a", "pump-7"])
    clocks = b"\n@" + silent + b"\n@" + ended
    rule_record = b"\n%" + rulemark.encode("oda", 7, digest(RULES[7]))
    return [
        years + rule_record + rule_record.replace(b"7", b"8") + b"\n" + years,
        extreme,
        years,
        years + clocks + b"\n" + years,
        MESSAGE + b"\n\n{}\n" + MESSAGE + clocks + b"\n@{}",
        b"\n".join(b"#" + derived.encode("oda", "group:all", time, 1.5) for time in (0, 4000, 2000, 4000, 9000)),
    ]


def _derived_records() -> list[bytes]:
    good = derived.encode("oda", "group:berlin/power", MAX_TIME, -1e100)
    wrong = good.replace(b"group:", b"x:"), good.replace(b"e100", b"e101"), good[:-1] + b',"time":-1}', b""
    return [good, *wrong, good.replace(b'"oda"', b"3"), good.replace(b"berlin", b"\xff")]


def _rule_records() -> list[bytes]:
    good = rulemark.encode("oda", 7, digest(RULES[7]))
    wrong = (good.replace(b"7,", b"0,"), good.replace(b"7,", b"7.0,"), good.replace(b"7,", str(2**63).encode() + b","))
    return [good, *wrong, good.replace(b'"oda"', b"3"), good[:-4] + b'G"}', good[:-1] + b',"group":"b","x":1e999}', b""]


def _rules() -> list[bytes]:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    examples = [text.encode() for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert examples
    return [
        *examples,
        b"rules: []",
        b"rules: [{series: a, detectors: [{use: &a sigma, as: *a}]}]",
        b"\xef\xbb\xbfrules:\t[{}]",
    ]


def _configs() -> list[bytes]:
    def config(**more: Any) -> bytes:
        options = OPTIONS | {"oda." + name.replace("__", "."): value for name, value in more.items()}
        return json.dumps({"envs": {"local": {"options": options}}}).encode()

    wrong = [
        {"window__size_ms": 10**30}, {"window__size_ms": True}, {"window__lateness_ms": 2**63},
        {"judge__sigmas": math.inf}, {"cassandra__ttl_days": 10**6}, {"cassandra__hosts": "a:\u00b2"},
        {"elasticsearch__urls": "http://[::1"}, {"elasticsearch__urls": "http://a:9200,b"},
        {"kafka__readings": ".."}, {"kafka__windows": "readings"}, {"kafka__brokers": "a:99999,:1"},
        {"window__\x1b[2J": "x" * 2000}, {"window": 3}, {"": None}, {"readings__max_batch": "1000"},
    ]  # fmt: skip
    shapes = [b'{"envs":{"local":{"options":[["a",1]]}}}', b'{"envs":{"local":{"options":[[1,2]]}}}', b"[" * 100_000]
    return [config(), *(config(**options) for options in wrong), *shapes, b"\xff", b"{}"]


def _snapshots() -> list[bytes]:
    machine = PartitionWindows(SETTINGS)
    readings = [Reading("ab"[n % 2] + "é", NOW + 700 * n, n / 7) for n in range(12)]
    machine.apply(Batch(0, 1, 1, 0, 12, 0, NOW, Readings.of(range(12), readings)))
    data = snapshot.encode(machine)
    return [
        data,
        data[:-1],
        data[:-6] + b"\xc0",
        data.replace("é".encode(), b"\xff\xff"),
        b"\x91\x01",
        b"\x91\x02",
        b"",
    ]


def _results() -> list[bytes]:
    """The first is a row of each kind."""
    row = {
        "topic": "t",
        "partition": 1,
        "offset": 7,
        "first_offset": 7,
        "series": "a\x1b[2J",
        "start": MAX_TIME,
        "time": 0,
    }
    row |= {"count": 2, "value": -1e100, "mean": 1e100, "stddev": 5e-324, "window_start": 0}
    row |= {"end": MAX_TIME, "last_offset": 8, "closed_at": 9, "closed_by": "data", "late": 0}
    row |= {
        "detector": "\x1b[2J",
        "score": 1e-9,
        "expected": 1e100,
        "low": -1e100,
        "high": 0.1,
        "found_at": 9,
        "since": 9,
        "rules": 0,
    }
    row |= {"number": 1, "change": "escalated", "cause": "rules", "severity": "\n", "changed": MAX_TIME, "labels": "{}"}
    row |= {"last_time": 0, "worst_time": 0, "worst_value": -1e100, "worst_score": 100.0}
    assert all(kind.located(json.dumps(row).encode()) for kind in OF_SERIES)
    return [json.dumps(row).encode(), json.dumps(row | {"time": 10**30}).encode(), b"[" * 2000, b'"\xff"']


SETTINGS = Settings.from_options(OPTIONS)
RULES = {7: "rules: []"}
INSIGHTS = ElasticsearchStore(SETTINGS)
CONFIG = Path(tempfile.mkdtemp()) / "config.json"
CSV = [
    b"timestamp,value\n2014-04-01 00:00:00,20.5\n2014-04-01T00:05:00+23:59,n/a\n",
    b'series,timestamp,value\n"a ""b"",\n",1732300000000,1e100\n\x00,1732300000005,1_0\n\xff,1732300000007,nan\na,9\n',
    b'series,timestamp,value\n"a,1732300000000,1\na,1732300000001,2\na",1732300000002,3\n',
    b"timestamp,value\n" + b"1" * 5000 + b"," + b"9" * 5000 + b'\n"1,1',
    b"\xef\xbb\xbftimestamp,value\r\n1732300000001,1\r1732300000002,2\r\n",
    b"\xff\xfet\x00,\x00\n\x00",
    b"timestamp;value\n1732300000001;1\n",
    b"\x1b[2J" * 100 + b",x",
]
REQUESTS = [b"[" + MESSAGE + b", 7]", b"[NaN, " + MESSAGE + b"]", MESSAGE + b"\n\n{}\n", b'[1,"\xff"]']
PACKED = [
    row.data for row in archive.pack(["a"], *Readings.of([7, 9], [Reading("a", 1, 1.0), Reading("a", 2, 2.0)])[1:])
]

TARGETS = {
    "message": Target(message, _messages(), 20_000),
    "clock": Target(clock_record, _clock_records(), 10_000),
    "rule_record": Target(rule_record, _rule_records(), 10_000),
    "derived": Target(derived_record, _derived_records(), 10_000),
    "rules": Target(rules, _rules(), 1_000),
    "log": Target(log, [*_log(), *_messages()], 1_000),
    "settings": Target(settings, _configs(), 2_500),
    "request": Target(request, [*REQUESTS, *_messages()], 10_000),
    "lines": Target(lines, [b"\x03one\n\ntwo", MESSAGE * 3 + b"\n"], 20_000),
    "csv": Target(csv_file, CSV, 8_000),
    "snapshot": Target(damaged_snapshot, _snapshots(), 40_000),
    "archive": Target(archive_row, [*PACKED, b""], 20_000),
    "watch": Target(watch, _results(), 20_000),
}

WORDS = [
    "series", "time", "value", "group", "position", "through", "ended", "@",
    "\\ud83d", "\\ude00", "\\u0000", "1e308", "-0.0", "NaN", "Infinity", "null", "true",
    "T23:59:60Z", "+23:59", ".9999995", "timestamp,value", "envs", "local", "options", "\"oda.", "window.size_ms",
    "rules: [{series: ", "{use: sigma, ", "detectors: [", "window: each", "as: ", "incident: {", "version", "sha256",
    *OPTIONS, *sorted({name for section in Settings.model_fields for name in [f"oda.{section}."]}), "\ufeff",
]  # fmt: skip
