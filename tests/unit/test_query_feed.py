"""What is read of Kafka, and from where: a consumer that is made up stands for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager

import msgspec
import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError
from test_query_bands import OPTIONS, rules
from test_verdicts import change, verdict

from made import settings
from oda.audit.record import AuditRecord
from oda.core.clock import KEY as CLOCK_KEY
from oda.core.kinds import ANOMALIES, BANDS, INCIDENTS, WINDOWS, Anomaly, Bounds, ClosedWindow
from oda.core.reading import Reading, encode
from oda.kafka.records import Record
from oda.query import feed, positions
from oda.query.feed import Feed, News, now_ms
from oda.query.live import Live, state_of
from oda.query.positions import Positions, RejectedLog, general, shown
from oda.query.refreshed import Refreshed
from oda.query.series import Known
from oda.query.storm import StormState
from oda.settings import Kafka
from support import HANG_SECONDS, wait_until

SETTINGS = settings(kafka=Kafka(brokers="a:1", partitions=2))
KAFKA = SETTINGS.kafka


class Headed(msgspec.Struct):
    """A record with headers."""

    offset: int
    timestamp: int
    headers: list
    key: bytes | None
    value: bytes | None


class Log:
    """Topics, each partition a list of records from offset `begin` on; a consumer of them; fails when it is told to."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list] = defaultdict(list)
        self.begin: dict[TopicPartition, int] = defaultdict(int)
        self.seeks: dict[TopicPartition, int] = {}
        self.committed_at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.fails = 0
        self._assigned: list[TopicPartition] = []
        self._positions: dict[TopicPartition, int] = {}

    def add(self, topic: str, *values: bytes | None, partition: int = 0, key: bytes | None = b"k") -> None:
        records = self.records[TopicPartition(topic, partition)]
        for value in values:
            at = self.begin[TopicPartition(topic, partition)] + len(records)
            records.append(Record(at, now_ms(), True, key, value))

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0} if topic in (KAFKA.verdicts, KAFKA.audits) else {0, 1}

    def assign(self, parts) -> None:
        self._assigned = list(parts)

    def assignment(self) -> set[TopicPartition]:
        return set(self._assigned)

    def end_offsets(self, parts):
        return {part: self.begin[part] + len(self.records[part]) for part in parts}

    def beginning_offsets(self, parts):
        return {part: self.begin[part] for part in parts}

    def committed(self, part):
        return self.committed_at.get(part)

    def position(self, part) -> int:
        return self._positions[part]

    def seek(self, part, offset: int) -> None:
        self.seeks[part] = self._positions[part] = offset

    def pause(self, part) -> None:
        self.paused.add(part)

    def resume(self, part) -> None:
        self.paused.discard(part)

    def poll(self, _: float):
        if self.fails:
            self.fails -= 1
            raise KafkaError("no broker")
        found = {}
        for part in self._assigned:
            at = self._positions[part]
            some = [] if part in self.paused else self.records[part][at - self.begin[part] :][:3]
            if some:
                found[part] = some
                self._positions[part] = some[-1].offset + 1
        return found

    def close(self, **_: object) -> None:
        pass


@pytest.fixture
def log(monkeypatch) -> Log:
    made = Log()

    @contextmanager
    def reader(_, topics, from_beginning, **__):
        assert not from_beginning
        made.assign([TopicPartition(topic, number) for topic in topics for number in made.partitions_for_topic(topic)])
        yield made

    monkeypatch.setattr(feed, "reader", reader)
    monkeypatch.setattr(feed, "create_topics", lambda _: None)
    monkeypatch.setattr(feed, "lean", lambda consumer: consumer)
    monkeypatch.setattr(feed, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(positions, "lean", lambda consumer: consumer)
    monkeypatch.setattr(positions.client, "consumer", lambda *_, **__: made)
    monkeypatch.setattr(positions, "_FIRST_SECONDS", 0.05)
    return made


def heard(until) -> tuple[list[News], Feed]:
    """What a feed hands on, until something is true of that."""
    news: list[News] = []
    done = threading.Event()

    def take(one: News) -> None:
        news.append(one)
        if until(news):
            done.set()

    found = Feed(SETTINGS, take)
    found.start()
    assert done.wait(HANG_SECONDS)
    found.stop()
    return news, found


def reading(number: int) -> bytes:
    return encode(Reading("a", now_ms(), float(number)))


def test_everything_is_decoded_and_what_is_nothing_is_left_out(log):
    window = ClosedWindow("a", 0, 1000, 9, 5.0, 1.0, 0, 8, 9, "data", 0)
    anomaly = Anomaly("a", 5, 3, 9.0, 1.0, 1.0, 2, 0, "sigma/1", 50.0, 1.0, 0.0, 2.0, 3, 0)
    bounds = Bounds("a", 0, 9, 0, "robust/1", 5.0, 1.0, 9.0, 0)
    log.add(KAFKA.readings, reading(1), b"nothing", reading(2))
    log.add(KAFKA.readings, b"{}", key=CLOCK_KEY)
    for kind, row in ((WINDOWS, window), (ANOMALIES, anomaly), (BANDS, bounds)):
        message = msgspec.json.encode(kind.document("readings", 1, row))
        log.add(getattr(KAFKA, kind.name), message, b"nothing", message, None)  # a replay repeats it
    log.add(KAFKA.incidents, msgspec.json.encode(INCIDENTS.document(*change())))
    log.add(KAFKA.verdicts, msgspec.json.encode(verdict(verdict="true")), b"[]")
    log.add(KAFKA.audits, msgspec.json.encode(AuditRecord("oda", 5, 1.0, {}, {0: 7}, 0)), b"nothing")
    news, _ = heard(lambda news: sum(len(one.bands) for one in news) and sum(len(one.readings) for one in news))
    live = Live("oda")
    for one in news:
        live.take(one, now_ms())
    known = live.series.get("a", now_ms())
    assert (known.last_value, known.window, known.anomalies) == (2.0, 9, 1)
    assert live.incidents.find("all", "", "", "")[0].verdict.verdict == "true"
    assert live.audit.offsets == {0: 7}
    assert [found.row for one in news for found in one.bands] == [bounds]


def test_it_begins_with_the_newest_readings_and_all_verdicts(log, monkeypatch):
    monkeypatch.setattr(feed, "NEWEST", 10)
    readings, verdicts = TopicPartition(KAFKA.readings, 0), TopicPartition(KAFKA.verdicts, 0)
    log.begin[verdicts] = 3
    log.add(KAFKA.readings, *map(reading, range(30)))
    log.add(KAFKA.verdicts, *[msgspec.json.encode(verdict())] * 20)
    news, found = heard(lambda news: news[-1].is_live)
    assert log.seeks[readings] == 25  # ten of two partitions
    assert log.seeks[verdicts] == 3
    assert sum(len(one.verdicts) for one in news) == 20
    assert not any(one.verdicts for one in news if one.is_live), "ready before it has handed on what was there"
    assert found.problem is None


def test_after_an_error_it_goes_on_where_it_was(log):
    log.add(KAFKA.readings, *map(reading, range(9)))
    part = TopicPartition(KAFKA.readings, 0)
    news: list[News] = []

    def until(so_far: list[News]) -> bool:
        if len(so_far) == 1:
            log.fails = 2
        return sum(len(rows.offsets) for one in so_far for _, rows, _ in one.readings) == 9

    news, found = heard(until)
    offsets = [at for one in news for _, rows, _ in one.readings for at in rows.offsets.tolist()]
    assert offsets == list(range(9))
    assert log.seeks[part] == 3
    assert found.problem is None


def test_a_feed_that_can_t_read_says_why(log):
    log.fails = 10**9
    found = Feed(SETTINGS, lambda _: None)
    found.start()
    wait_until(lambda: found.problem == "KafkaError: no broker" or "no broker" in (found.problem or ""), "no problem")
    found.stop()


def test_whatever_goes_wrong_it_reads_on(log):
    log.add(KAFKA.readings, reading(1))
    news: list[News] = []
    done = threading.Event()

    def take(one: News) -> None:
        news.append(one)
        if len(news) == 1:
            raise RuntimeError("a fault in the model")
        done.set()

    found = Feed(SETTINGS, take)
    found.start()
    assert done.wait(HANG_SECONDS)
    found.stop()
    assert [len(one.readings) for one in news[:2]] == [1, 1]  # what was not taken is given again
    assert found.problem is None


def test_partitions_that_are_new_are_read_too(log):
    part = TopicPartition(KAFKA.readings, 2)
    numbers = log.partitions_for_topic
    log.add(KAFKA.readings, reading(1))

    def until(so_far: list[News]) -> bool:
        if len(so_far) == 3 and part not in log.records:
            log.partitions_for_topic = lambda topic: numbers(topic) | ({2} if topic == KAFKA.readings else set())
            log.add(KAFKA.readings, reading(2), partition=2)
        return any(number == 2 for one in so_far for number, _, _ in one.readings)

    news, _ = heard(until)
    assert sum(len(rows.offsets) for one in news for _, rows, _ in one.readings) == 2


def test_positions_tell_lag_in_records_and_in_seconds(log):
    log.add(KAFKA.readings, *map(reading, range(10)))
    part = TopicPartition(KAFKA.readings, 0)
    for record in log.records[part]:
        record.timestamp -= 5_000
    log.committed_at[part] = 4
    now = 100.0
    asked = Positions(KAFKA, KAFKA.readings, lambda: now)
    first, other = asked.ask()
    assert (first.end, first.committed, first.lag, first.rate, first.commit_age_seconds) == (10, 4, 6, 0.0, 0.0)
    assert 5.0 <= first.lag_seconds < 60
    assert (other.lag, other.lag_seconds) == (0, 0.0)
    now = 110.0
    log.add(KAFKA.readings, *map(reading, range(20)))
    first, _ = asked.ask()
    assert (first.rate, first.commit_age_seconds) == (2.0, 10.0)
    assert first.lag_seconds >= 5.0  # the second time, too
    log.committed_at[part] = 5
    now = 111.0
    assert asked.ask()[0].commit_age_seconds == 0.0
    log.committed_at[part] = 30
    now = 200.0
    assert asked.ask()[0].commit_age_seconds == 0.0
    now = 300.0
    assert asked.ask()[0].commit_age_seconds == 0.0  # there is nothing to be committed


def test_a_lag_behind_what_can_t_be_read_has_no_seconds(log):
    log.add(KAFKA.readings, *map(reading, range(3)))
    log.poll = lambda _: {}
    first, _ = Positions(KAFKA, KAFKA.readings).ask()
    assert (first.lag, first.lag_seconds) == (3, None)


def test_rejected_messages_are_followed_newest_first(log, monkeypatch):
    monkeypatch.setattr(positions, "_FIRST_SECONDS", HANG_SECONDS)
    part = TopicPartition(KAFKA.rejected, 0)

    def add(count: int) -> None:
        for _ in range(count):
            at = len(log.records[part])
            headers = [("oda.partition", b"3"), ("oda.offset", b"%d" % at), ("oda.reason", b"time %d is none" % at)]
            log.records[part].append(Headed(at, 0, headers, b"k" * 1_000, b"\xff" * 10_000))

    add(5)
    asked = RejectedLog(SETTINGS)
    found = asked.ask()
    assert found.total == 5
    assert [message.offset for message in found.newest] == [4, 3, 2, 1, 0]
    assert found.by_reason == [("time … is none", 5)]
    assert len(found.newest[0].key) == 256
    assert len(found.newest[0].value) == 2_048
    add(1)
    log.records[part].append(Headed(6, 0, [("oda.offset", b"x")], None, None))
    found = asked.ask()
    assert [message.offset for message in found.newest] == [-1, 5, 4, 3, 2, 1, 0]
    assert found.total == 7


def test_what_is_particular_to_a_message_is_no_reason():
    assert general("not a reading: Expected `str`, got `int` - at `$.series`") == (
        "not a reading: Expected `str`, got `int` - at `$.series`"
    )
    assert general("value 1e+200 is beyond 1e+100") == "value … is beyond …"


@pytest.mark.parametrize(
    ("data", "text"), [(None, None), (b"", ""), (b"a\nb", "a\nb"), ("\u202e".encode(), "\\u202e"), (b"\xc3", "\\xc3")]
)
def test_bytes_are_shown_with_escapes(data, text):
    assert shown(data) == text


def test_what_is_asked_for_again_and_again_keeps_its_value_and_says_what_went_wrong():
    answers = iter([1, ValueError("odd"), 2])
    gate = threading.Semaphore(0)

    def ask() -> int:
        gate.acquire()
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = Refreshed("a server", 0.0, ask)
    found.start()
    assert found.value is None
    gate.release()
    wait_until(lambda: found.value == 1 and found.problem is None, "no value")
    gate.release()
    wait_until(lambda: found.problem == "a server: ValueError('odd')", "no problem")
    assert found.value == 1
    found.stop()
    gate.release()
    wait_until(lambda: found.value == 2, "no value")


NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("heard_ago", "window", "chosen", "state"),
    [
        (0, 9, OPTIONS, "judged"),
        (0, 0, OPTIONS, "no window closed yet"),
        (0, 1, OPTIONS, "one reading a window"),
        (120_000, 9, OPTIONS, "silent"),
        (0, 0, rules(1, "{use: d1}"), "judged"),
        (0, 0, rules(1, "{use: sigma}", "window: each,"), "one reading a window"),
        (0, 0, rules(1, "{use: robust}", "window: each,"), "judged"),
        (120_000, 9, rules(1, "{use: sigma}", "window: {size: 10m},"), "judged"),
    ],
)
def test_a_series_that_is_not_judged_says_why(heard_ago, window, chosen, state):
    known = Known("a", 0, 0, 0.0, 0.0, 0, None, NOW - heard_ago, window)
    assert state_of(known, chosen.of("a"), NOW) == state


class Api:
    """Stands for the Storm UI."""

    ui = "http://storm"

    def __init__(self, answer: dict | None) -> None:
        self._answer = answer

    def topology_id(self, name: str) -> str | None:
        return f"{name}-1" if self._answer else None

    def ask(self, path: str) -> dict:
        assert path == "topology/analytics-1"
        return self._answer


def test_storm_says_whether_the_topology_runs_and_what_is_wrong():
    answer = {
        "status": "ACTIVE",
        "spouts": [{"spoutId": "readings", "executors": 1, "emitted": 7, "completeLatency": "5.0", "lastError": ""}],
        "bolts": [
            {"boltId": "cassandra", "executed": 5, "failed": 1, "lastError": "away", "errorLapsedSecs": 5},
            {"boltId": "kafka", "executed": 5, "lastError": "long ago", "errorLapsedSecs": 5_000},
        ],
    }
    found = StormState(Api(answer), "analytics").ask()
    assert found.state == "ACTIVE"
    assert found.ui == "http://storm/topology.html?id=analytics-1"
    assert [(one.id, one.executed, one.failed, one.last_error) for one in found.components] == [
        ("readings", 7, 0, None),
        ("cassandra", 5, 1, "away"),
        ("kafka", 5, 0, None),
    ]
    assert found.errors() == {"cassandra": ["away"], "elasticsearch": [], "kafka": []}
    assert StormState(Api(None), "analytics").ask().state == "NOT RUNNING"
