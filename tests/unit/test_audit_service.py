"""An audit that goes on where another ended: what it expects, where it keeps that, and what it looks at."""

from __future__ import annotations

import os
import random
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from kafka import TopicPartition
from test_audit import Record, untracked
from typer.testing import CliRunner

from made import settings
from oda.audit import checkpoint
from oda.audit.audit import Auditor, Known, Since
from oda.audit.checkpoint import Checkpoint
from oda.audit.comparison import Comparison
from oda.audit.expected import Expected
from oda.audit.message import CLOCK_KEY, RULES_KEY
from oda.audit.record import AuditRecord
from oda.cli import verify
from oda.cli.main import app
from oda.core.clock import encode as encode_clock
from oda.core.kinds import ANOMALIES, BANDS, INCIDENTS, WINDOWS
from oda.core.reading import Reading, encode
from oda.core.rulemark import encode as encode_rules
from oda.errors import UserError
from oda.settings import Window
from oda.stores.kafka import require_beginning
from oda.stores.place import SLOT_MS

SETTINGS = settings(window=Window(size_ms=1000))
BEGIN = 1_700_000_000_000

RULES = """
rules:
  - series: "s-0"
    window: {size: 500ms}
    lead: 20s
    detectors:
      - {use: student, sigmas: 2, incident: {open: {anomalies: 2, of: 5}, quiet: 2s}}
      - {use: robust, windows: 5, min_windows: 3, sigmas: 2}
      - {use: level, sigmas: 2, recent: 2, min_before: 3}
      - {use: stuck, readings: 2}
  - series: "s-1"
    window: each
    detectors: [{use: d1}, {use: d5, incident: {quiet: 1s}}]
  - series: "s-*"
    labels: {site: north}
    detectors: [{use: seasonal, period: 10s, phases: 5, min_periods: 1, sigmas: 2, incident: {}}, {use: silent}]
"""
OTHER = RULES.replace("sigmas: 2, incident: {open: {anomalies: 2", "sigmas: 3, incident: {open: {anomalies: 3").replace(
    "500ms", "700ms"
)
TEXTS = {3: RULES, 7: OTHER}


def log(seed: int) -> list[Record]:
    """Readings of four series with spikes and late ones, clock records, what is no reading, two changes of rules."""
    draw = random.Random(seed)
    records, time, through = [], BEGIN, {}
    for offset in range(400):
        time += draw.randrange(0, 120)
        if offset in (40, 260):
            version = 3 if offset == 40 else 7
            value = encode_rules("oda", version, sha256(TEXTS[version].encode()).hexdigest())
            records.append(Record(offset, time, RULES_KEY, value))
            continue
        if draw.random() < 0.03 and through:
            name = draw.choice(sorted(through))
            (value,) = encode_clock("oda", offset, {name: through.pop(name)})
            records.append(Record(offset, time, CLOCK_KEY, value))
            continue
        if draw.random() < 0.02:
            records.append(Record(offset, time, None, b"nothing"))
            continue
        name, at = f"s-{draw.randrange(4)}", time - (draw.random() < 0.1) * draw.randrange(0, 3000)
        through[name] = at
        value = draw.gauss(0, 1) + 20 * (draw.random() < 0.05)
        records.append(Record(offset, time, name.encode(), encode(Reading(name, at, value))))
    return records


def rows(expected: Expected) -> list[list]:
    return [expected.windows, expected.anomalies, expected.incidents, expected.bands]


def pickled(known: Known, path: Path) -> Known:
    checkpoint.save(path, Checkpoint("log", "oda", 0, known))
    return checkpoint.load(path, SETTINGS, TEXTS).known


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "checkpoint"


@examples(max_examples=25)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 400), max_size=4))
def test_however_often_it_goes_on_it_expects_what_one_pass_does(path, seed, cuts):
    records = log(seed)
    whole = Expected(SETTINGS, TEXTS)
    whole.read(2, records)
    assert all(rows(whole))
    known, found, accepted, rejected = Known(), [[], [], [], []], 0, {}
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 400], strict=True):
        part = Expected(SETTINGS, TEXTS, known.references)
        part.read(2, records[start:end])
        for all_of, more in zip(found, rows(part), strict=True):
            all_of += more
        accepted += len(part.readings[2].offsets)
        rejected |= part.rejected
        known = pickled(known, path)
    assert found == rows(whole)
    assert accepted == len(whole.readings[2].offsets)
    assert rejected == whole.rejected


class Store:
    """Gives what it holds, whatever part is asked for, and takes note of that."""

    def __init__(self, documents: list[dict]) -> None:
        self.documents = documents
        self.asked = None

    def rows(self, kind, part=None):
        self.asked = part
        return [(kind.place(row), row) for row in self.documents]


def compared(kind, found: list[dict], start: int, end: int, seed: int = 1) -> Comparison:
    """What an audit of a part of the log finds wrong in a store."""
    records, known = log(seed), Known()
    Expected(SETTINGS, TEXTS, known.references).read(2, records[:start])
    expected = Expected(SETTINGS, TEXTS, known.references)
    expected.read(2, records[start:end])
    store = Store(found)
    auditor = Auditor(expected, {2: end}, untracked, Since({2: start}, expected.part(BEGIN)))
    result = auditor.compared(kind.name, "a store", store)
    assert store.asked.written < BEGIN
    return result


@pytest.mark.parametrize("kind", [WINDOWS, ANOMALIES, INCIDENTS, BANDS])
def test_it_looks_at_its_part_and_finds_what_is_wrong_there(kind):
    whole = Expected(SETTINGS, TEXTS)
    whole.read(2, log(1))
    documents = getattr(whole, kind.name)
    inside = [row for row in documents if 100 <= row[kind.made_at] < 300]
    outside = [row for row in documents if not 100 <= row[kind.made_at] < 300]
    assert inside
    assert outside
    assert compared(kind, documents, 100, 300).faults == 0
    assert compared(kind, inside, 100, 300).faults == 0
    assert compared(kind, [row for row in documents if row is not inside[0]], 100, 300).missing == 1
    assert compared(kind, [row for row in documents if row is not outside[0]], 100, 300).faults == 0
    wrong = [row | {"rules": 99} if row is inside[-1] else row for row in documents]
    assert compared(kind, wrong, 100, 300).different == 1
    extra = inside[0] | {next(name for name in kind.identity if name != kind.made_at): 100_000}
    assert compared(kind, [*documents, extra], 100, 300).extra == 1


def test_a_part_has_the_slots_of_its_times():
    expected = Expected(SETTINGS, {})
    times = [BEGIN, BEGIN + 5, BEGIN + 3 * SLOT_MS]
    expected.read(0, [Record(at, BEGIN, b"a", encode(Reading("a", time, 1.0))) for at, time in enumerate(times)])
    part = expected.part(BEGIN)
    assert {BEGIN // SLOT_MS, BEGIN // SLOT_MS + 3} <= part.slots
    assert len(part.slots) <= 4


def test_a_checkpoint_is_its_owner_s_and_replaced_as_a_whole(tmp_path):
    path = tmp_path / "of" / "audit"
    assert checkpoint.load(path, SETTINGS, {}) is None
    for number in range(3):
        checkpoint.save(path, Checkpoint("log", "oda", number))
    assert checkpoint.load(path, SETTINGS, {}).differences == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["audit"]


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x05K\x01."])
def test_what_is_no_checkpoint_is_refused_with_the_way_out(tmp_path, data):
    path = tmp_path / "audit"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(UserError, match="move it away"):
        checkpoint.load(path, SETTINGS, {})


def test_what_others_may_write_is_not_trusted(tmp_path):
    path = tmp_path / "audit"
    checkpoint.save(path, Checkpoint("log", "oda"))
    path.chmod(0o666)
    with pytest.raises(UserError, match="others may write it"):
        checkpoint.load(path, SETTINGS, {})


@pytest.mark.parametrize("every", ["0s", "10", "soon", "-5m", "999ms"])
def test_how_often_is_a_length_of_time(every):
    result = CliRunner().invoke(app, ["verify", "--every", every])
    assert isinstance(result.exception, UserError)
    assert "such as 10m" in str(result.exception)


class EnoughError(Exception):
    """The service has been seen for long enough."""


def serve(monkeypatch, tmp_path, steps) -> tuple[str, list[str]]:
    """What a service prints, and the problems that it told of; `steps` are its audits, one after the other."""
    told: list[str] = []

    class Steps:
        def __init__(self, *_: object) -> None:
            pass

        def step(self, _: object):
            try:
                found = next(steps)
            except StopIteration:
                raise EnoughError from None
            if isinstance(found, Exception):
                raise found
            return found

        def tell(self, problem: str) -> None:
            told.append(problem)

    monkeypatch.setattr(verify, "Auditing", Steps)
    monkeypatch.setattr(verify.time, "sleep", lambda _: None)
    monkeypatch.setattr(verify.signal, "signal", lambda *_: None)
    result = CliRunner().invoke(app, ["verify", "--every", "1s", "--checkpoint", str(tmp_path / "audit")])
    assert isinstance(result.exception, EnoughError)
    return result.output, told


def test_a_service_tells_each_audit_and_goes_on_after_what_goes_wrong(monkeypatch, tmp_path):
    record = AuditRecord("oda", 5, 1.5, {0: 10, 1: 0}, {0: 17, 1: 3}, 2, ["missing Cassandra windows: readings:0:7"])
    shown, told = serve(monkeypatch, tmp_path, iter([UserError("Kafka is away"), (SimpleNamespace(faults=1), record)]))
    assert "not audited: Kafka is away" in shown
    assert told == ["Kafka is away"]
    assert "audited to offset 20, 10 of them new, in 1.5 s: 1 differences, 2 in all" in shown
    assert "missing Cassandra windows: readings:0:7" in shown


class Beginning:
    """A partition whose first records retention has taken."""

    def __init__(self, first: int) -> None:
        self._first = first

    def beginning_offsets(self, parts):
        return dict.fromkeys(parts, self._first)


@pytest.mark.parametrize(
    ("first", "start", "is_there"), [(0, 0, True), (7, 0, False), (7, 6, False), (7, 7, True), (7, 9, True)]
)
def test_retention_may_take_what_is_audited_and_nothing_else(first, start, is_there):
    part = TopicPartition("readings", 2)
    if is_there:
        require_beginning(Beginning(first), part, start)
        return
    with pytest.raises(UserError, match=r"the beginning of topic readings, partition 2, is gone \(retention"):
        require_beginning(Beginning(first), part, start)
