"""The topic of rules: versions, what is applied again or half-way, and a Kafka that does not answer."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from oda.core.rulemark import KEY, decode
from oda.core.rules.match import digest
from oda.errors import UserError
from oda.kafka import rules
from oda.kafka.rules import PatientRules, RulesTopic, apply
from oda.settings import Kafka

SETTINGS = Kafka(brokers="a:1", partitions=2)
TOPIC = TopicPartition(SETTINGS.rules, 0)


class Broker:
    """The logs of two topics, and clients of it; a client fails when `fails` is due."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {TOPIC: []}
        self.asked = 0
        self.fails: list[int] = []
        self.stale: int | None = None
        """What a leader of before takes for the end of the topic of rules, for whoever has not asked the replicas."""
        for number in range(SETTINGS.partitions):
            self.add_partition(number)

    def add_partition(self, number: int) -> None:
        self.logs[TopicPartition(SETTINGS.readings, number)] = []

    def append(self, part: TopicPartition, key: bytes | None, value: bytes) -> int:
        log = self.logs[part]
        log.append(SimpleNamespace(offset=len(log), timestamp=1000 * len(log), key=key, value=value))
        return len(log) - 1

    def rules_of(self, number: int) -> list[int]:
        """The versions in a partition of the readings."""
        records = self.logs[TopicPartition(SETTINGS.readings, number)]
        assert all(record.key == KEY for record in records)
        return [decode(record.value).version for record in records]

    def text(self, version: int) -> str:
        return self.logs[TOPIC][version - 1].value.decode()

    def ask_replicas(self, consumer: Consumer, part: TopicPartition) -> None:
        assert part == TOPIC
        assert consumer.broker is self
        self.asked += 1
        if self.asked in self.fails:
            raise KafkaError("told by 1 of 3")
        self.stale = None


class Consumer:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.at = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {part.partition for part in self.broker.logs if part.topic == topic}

    def assign(self, parts: list[TopicPartition]) -> None:
        assert parts == [TOPIC]

    def assignment(self) -> set[TopicPartition]:
        return {TOPIC}

    def seek(self, _: TopicPartition, at: int) -> None:
        self.at = at

    def position(self, _: TopicPartition) -> int:
        return self.at

    def end_offsets(self, _: set[TopicPartition]) -> dict[TopicPartition, int]:
        self.broker.asked += 1
        if self.broker.asked in self.broker.fails:
            raise KafkaConnectionError("away")
        return {TOPIC: len(self.broker.logs[TOPIC]) if self.broker.stale is None else self.broker.stale}

    def poll(self, _: float) -> dict[TopicPartition, list[Any]]:
        found = self.broker.logs[TOPIC][self.at : self.at + 2]
        self.at += len(found)
        return {TOPIC: found}

    def close(self) -> None:
        self.broker = None  # type: ignore[assignment]


class Producer:
    def __init__(self, broker: Broker, most: int) -> None:
        self.broker, self.left = broker, most

    def send(self, topic: str, value: bytes, key: bytes, partition: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KafkaConnectionError("away")
        offset = self.broker.append(TopicPartition(topic, partition), key, value)
        return SimpleNamespace(get=lambda: SimpleNamespace(offset=offset, timestamp=0))

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(rules, "create_topics", lambda _: None)
    monkeypatch.setattr(rules.client, "consumer", lambda *_, **__: Consumer(made))
    monkeypatch.setattr(rules.leaders, "ask_replicas", made.ask_replicas)
    sends(made, monkeypatch, 10**6)
    return made


def sends(broker: Broker, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """From now on a producer can send so many messages."""
    monkeypatch.setattr(rules.client, "producer", lambda _: Producer(broker, most))


def test_a_version_is_the_offset_after_its_record(broker: Broker) -> None:
    broker.append(TOPIC, None, b"somebody else's")
    done = apply(SETTINGS, "rules: []\n")
    assert (done.version, done.is_new, done.offsets) == (2, True, {0: 0, 1: 0})
    topic = RulesTopic(SETTINGS)
    assert topic.read(2) == broker.text(2)
    assert topic.read(2).splitlines()[1:] == ["rules: []"]
    assert [(version.version, version.time) for version in topic.history()] == [(2, 1000)]
    assert topic.newest() == topic.history()[0]
    assert topic.marks() == {2: {0: 0, 1: 0}}


def test_the_same_text_is_no_new_version_and_still_none_has_the_same_hash(broker: Broker) -> None:
    first, again = apply(SETTINGS, "rules: []"), apply(SETTINGS, "rules: []")
    assert (again.version, again.is_new) == (first.version, False)
    assert RulesTopic(SETTINGS).marks() == {1: {0: 0, 1: 0}}, "the first one counts"
    apply(SETTINGS, "rules: [] # other")
    back = apply(SETTINGS, broker.text(1))
    assert back.is_new
    assert broker.text(back.version).splitlines()[1:] == broker.text(1).splitlines()[1:]
    assert digest(broker.text(back.version)) != digest(broker.text(1))
    assert broker.rules_of(0) == [1, 1, 4, back.version]


@pytest.mark.parametrize("most", range(4))
def test_what_was_interrupted_is_finished_by_doing_it_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    apply(SETTINGS, "rules: [1]")
    sends(broker, monkeypatch, most)
    with pytest.raises(UserError, match=r"Kafka at oda\.kafka\.brokers = a:1: .*away"):
        apply(SETTINGS, "rules: [2]")
    sends(broker, monkeypatch, 10**6)
    # Also by whoever goes back: the partitions that were reached must not stay with what was given up.
    done = apply(SETTINGS, "rules: [1]")
    assert done.is_new == (most > 0)
    assert [broker.rules_of(number)[-1] for number in (0, 1)] == [done.version] * 2
    assert all(broker.rules_of(number) == sorted(broker.rules_of(number)) for number in (0, 1))
    assert RulesTopic(SETTINGS).behind() == []


def test_a_partition_without_the_newest_rules_is_behind(broker: Broker) -> None:
    assert RulesTopic(SETTINGS).behind() == []
    apply(SETTINGS, "rules: []")
    broker.add_partition(2)
    assert RulesTopic(SETTINGS).behind() == [2]
    apply(SETTINGS, "rules: []")
    assert RulesTopic(SETTINGS).behind() == []
    other = RulesTopic(Kafka(brokers="a:1", group="other"))
    assert (other.marks(), other.behind()) == ({}, [])


def test_what_is_written_while_the_end_is_looked_up_is_not_passed_over(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll returns more than there was when the end was asked for."""
    topic, end_offsets = RulesTopic(SETTINGS), Consumer.end_offsets
    broker.append(TOPIC, b"rules", b"first")

    def and_another(consumer: Consumer, parts: set[TopicPartition]) -> dict[TopicPartition, int]:
        ends = end_offsets(consumer, parts)
        broker.append(TOPIC, b"rules", b"second")
        return ends

    with monkeypatch.context() as patch:
        patch.setattr(Consumer, "end_offsets", and_another)
        assert topic.read(1) == "first"
    assert topic.read(2) == "second"


def test_only_of_a_version_that_may_be_new_kafka_is_asked(broker: Broker) -> None:
    apply(SETTINGS, "rules: []")  # 1 is a report
    topic, before = RulesTopic(SETTINGS), broker.asked
    for version in (2, 1, 0, 1):
        try:
            assert topic.read(version) == broker.text(1)
            assert version == 1
        except LookupError:
            assert version != 1
    assert broker.asked == before + 1
    with pytest.raises(LookupError):
        topic.read(3)
    broker.append(TOPIC, b"rules", b"new")
    assert topic.read(3) == "new"


@pytest.mark.parametrize("value", [b"\xff", b"{}", b'{"group": 1}', b""])
def test_what_nobody_of_oda_wrote_there_is_passed_over(broker: Broker, value: bytes) -> None:
    broker.append(TOPIC, b"marked", value)
    broker.append(TOPIC, b"rules", b"\xff")
    broker.append(TOPIC, b"marked", b'{"group": "oda", "version": 2, "offsets": {"0": 7}}')
    done = apply(SETTINGS, "rules: []")
    assert list(RulesTopic(SETTINGS).marks()) == [done.version] == [4]


def test_the_spout_waits_for_a_kafka_that_does_not_answer(broker: Broker) -> None:
    apply(SETTINGS, "rules: []")
    broker.fails = [broker.asked + 1, broker.asked + 2]
    patient = PatientRules(SETTINGS, logging.getLogger("spout"))
    assert patient.read(1) == broker.text(1)
    with pytest.raises(LookupError):
        patient.read(99)


def test_a_leader_of_before_does_not_make_rules_a_forgery(broker: Broker) -> None:
    apply(SETTINGS, "rules: [1]")
    newest = apply(SETTINGS, "rules: [2]").version
    broker.stale = 2
    broker.fails = [broker.asked + 2]
    patient = PatientRules(SETTINGS, logging.getLogger("spout"))
    assert patient.read(newest) == broker.text(newest)


def test_a_leader_of_before_does_not_bring_older_rules_back(broker: Broker) -> None:
    apply(SETTINGS, "rules: [1]")
    newest = apply(SETTINGS, "rules: [2]").version
    broker.stale = 2
    broker.add_partition(2)
    repeated()
    assert broker.rules_of(2) == [newest]


def repeated(log: logging.Logger | None = None) -> None:
    PatientRules(SETTINGS, log or logging.getLogger("spout")).repeat([0, 2])


def test_the_spout_repeats_the_newest_rules_and_reports_where_they_were_not_yet(broker: Broker) -> None:
    repeated()
    assert broker.rules_of(0) == [], "there are none"
    apply(SETTINGS, "rules: [1]")
    newest = apply(SETTINGS, "rules: [2]").version
    broker.add_partition(2)
    apply(Kafka(brokers="a:1", group="other"), "rules: [3]")
    broker.logs[TopicPartition(SETTINGS.readings, 0)].clear()  # retention took all of them
    repeated()
    assert broker.rules_of(0) == [newest], "of our group"
    assert broker.rules_of(2)[-1] == newest
    assert RulesTopic(SETTINGS).marks()[newest] == {0: 1, 1: 1, 2: 1}, "the first report of a partition counts"
    assert RulesTopic(SETTINGS).behind() == []


def test_the_spout_waits_until_the_newest_rules_are_repeated(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(SETTINGS, "rules: []")
    broker.add_partition(2)
    monkeypatch.setattr(rules.client, "producer", lambda _: Producer(broker, attempts.pop()))
    attempts = [9, 1, 0]
    repeated()
    assert (attempts, broker.rules_of(0), broker.rules_of(2)) == ([], [1, 1, 1], [1])


def test_a_spout_that_may_not_write_goes_on_and_says_so(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apply(SETTINGS, "rules: []")
    refused = Producer(broker, 0)
    monkeypatch.setattr(refused, "send", lambda *_, **__: (_ for _ in ()).throw(TopicAuthorizationFailedError()))
    monkeypatch.setattr(rules.client, "producer", lambda _: refused)
    repeated()
    assert "say `oda rules apply`" in caplog.text
