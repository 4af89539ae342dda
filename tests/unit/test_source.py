"""The spout's end of Kafka: a log that is not the one that was read is noticed, and never read on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import SimpleNamespace
from uuid import UUID

import pytest
from cassandra.cluster import NoHostAvailable
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from oda.errors import UserError
from oda.kafka import source
from oda.kafka.mended import NOBODY
from oda.kafka.source import KafkaSource
from oda.settings import Settings
from support import HANG_SECONDS, wait_until

OLD, NEW = UUID(int=1), UUID(int=2)
SETTINGS = Settings.from_options(
    {"oda.kafka.brokers": "a:1", "oda.cassandra.hosts": "a:1", "oda.elasticsearch.urls": "http://a:1"}
)


def tp(partition: int) -> TopicPartition:
    return TopicPartition("readings", partition)


class Broker:
    """A topic and what the group has committed; and, like kafka-python's consumer, what a source asks of it."""

    def __init__(self) -> None:
        self.id: UUID | None = OLD
        self.partitions = {0}
        self.begin, self.end, self.highwaters = {0: 0, 1: 0}, {0: 0, 1: 0}, {0: 0, 1: 0}
        self.group: dict[TopicPartition, OffsetAndMetadata] = {}
        self.records: dict[int, list[str]] = {}
        self.error: Exception | None = None
        self.epoch = 5
        self._fetcher = SimpleNamespace()
        self.heard: dict[TopicPartition, int] = {}
        self._cluster = SimpleNamespace(topic_id=lambda _: self.id, update_partition_leader=self.hear)
        self.places: dict[TopicPartition, OffsetAndMetadata] = {}
        self._subscription = SimpleNamespace(seek=self.places.__setitem__, position=self.places.__getitem__)
        self.paused: set[TopicPartition] = set()

    def hear(self, place: TopicPartition, leader: int, epoch: int) -> None:
        assert leader == NOBODY
        self.heard[place] = epoch

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(self.partitions) if self.id else set()

    def topics(self) -> None:
        """Asks for the newest metadata."""

    def committed(self, place: TopicPartition, metadata: bool) -> OffsetAndMetadata | None:
        assert metadata
        return self.group.get(place)

    def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        assert timeout_ms
        self.group |= offsets

    def beginning_offsets(self, places: list[TopicPartition], **_: int) -> dict:
        return {place: self.begin[place.partition] for place in places}

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict:
        assert timeout_ms
        return {place: self.end[place.partition] for place in places}

    def highwater(self, place: TopicPartition) -> int:
        return self.highwaters[place.partition]

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.places[place] = OffsetAndMetadata(offset, "", -1)

    def poll(self, _: int) -> dict[TopicPartition, list[str]]:
        if self.error is not None:
            raise self.error
        found, self.records = self.records, {}
        for partition, records in found.items():
            offset = self.places[tp(partition)].offset + len(records)
            self.places[tp(partition)] = OffsetAndMetadata(offset, "", self.epoch)
        return {tp(partition): records for partition, records in found.items()}


@pytest.fixture(autouse=True)
def broker(monkeypatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(source.client, "consumer", lambda *_, **__: broker)
    monkeypatch.setattr(source, "create_topics", lambda _: None)
    return broker


@pytest.fixture
def start(monkeypatch) -> Callable[..., KafkaSource]:
    """A new run of the spout; `results` is the log that the stored results are of."""

    def start(results: UUID | None = OLD) -> KafkaSource:
        monkeypatch.setattr(source, "log_of_results", lambda *given: results or given[-1])
        begun = KafkaSource(SETTINGS, SETTINGS.kafka.readings, 0, 1, logging.getLogger("source"))
        wait_until(lambda: begun._log_id, "Cassandra was not asked")
        return begun

    return start


def test_it_starts_where_the_group_is_or_at_the_beginning(broker, start):
    broker.partitions, broker.begin = {0, 1}, {0: 3, 1: 4}
    broker.group[tp(1)] = OffsetAndMetadata(7, "", 2)
    begun = start()
    assert begun.new_partitions(set()) == {0: 3, 1: 7}
    assert broker.places == {tp(0): OffsetAndMetadata(3, "", -1), tp(1): OffsetAndMetadata(7, "", 2)}
    assert broker.heard[tp(1)] == 2, "a leader of before, whose log may end before 7, is not to be asked"
    assert begun.changed() is None


def test_what_is_committed_tells_the_epoch_that_was_read(broker, start):
    begun = start()
    begun.new_partitions(set())
    broker.records = {0: ["a", "b"]}
    assert begun.poll(0, False) == {0: ["a", "b"]}
    assert begun.commit({0: 1})
    assert broker.group == {tp(0): OffsetAndMetadata(1, "", 5)}


def test_new_partitions_are_taken_on_and_nothing_stays_paused(broker, start):
    begun = start()
    begun.new_partitions(set())
    begun.poll(0, True)
    broker.partitions = {0, 1}
    assert begun.new_partitions({0}) == {1: 0}
    assert (set(broker.assigned), broker.paused) == ({tp(0), tp(1)}, set())


@pytest.mark.parametrize("committed", [None, 1000])
def test_a_topic_that_was_made_anew_meanwhile_is_not_read_however_long_it_is(broker, start, committed):
    broker.id, broker.end = NEW, {0: 2000}
    if committed:  # by a former run, when the topic was new already
        broker.group[tp(0)] = OffsetAndMetadata(committed, "", 0)
    begun = start()
    assert begun.new_partitions(set()) == {}
    said = begun.changed()
    assert f"topic readings was deleted and made again since (its id was {OLD}, it is {NEW})" in said
    assert "docs/upgrades.md" in said


def test_a_topic_that_is_made_anew_while_it_is_read_gives_nothing_any_more(broker, start):
    begun = start()
    begun.new_partitions(set())
    broker.records = {0: ["of the old one"]}
    assert begun.poll(0, False) == {0: ["of the old one"]}
    broker.id, broker.records = NEW, {0: ["of the new one"]}
    assert begun.poll(0, False) == {}
    assert "made again" in begun.changed()
    broker.partitions = {0, 1}
    assert begun.new_partitions({0}) == {}


def test_a_topic_that_is_gone_is_told_until_it_is_back(broker, start):
    begun = start()
    begun.new_partitions(set())
    broker.id = None
    assert "topic readings is gone" in begun.changed()
    assert begun.new_partitions({0}) == {}
    broker.id = OLD
    assert begun.changed() is None
    broker.id = NEW
    assert "made again" in begun.changed()


def test_what_was_read_just_before_the_topic_was_gone_is_not_left_out(broker, start, monkeypatch):
    begun = start()
    begun.new_partitions(set())
    broker.records = {0: ["a"]}
    read = broker.poll

    def poll(timeout_ms: int) -> dict:
        found = read(timeout_ms)
        broker.id = None
        return found

    monkeypatch.setattr(broker, "poll", poll)
    assert begun.poll(0, False) == {0: ["a"]}
    assert "gone" in begun.changed()


def test_the_first_results_may_be_of_any_log(broker, start):
    broker.id = NEW
    begun = start(results=None)
    assert (begun.new_partitions(set()), begun.changed()) == ({0: 0}, None)


def test_it_waits_for_cassandra_to_tell_whose_results_it_has(monkeypatch):
    asked, answers = threading.Semaphore(0), threading.Event()

    def log_of_results(_: Settings, __: str, ___: UUID) -> UUID:
        asked.release()
        if not answers.is_set():
            raise NoHostAvailable("no answer", {})
        return OLD

    monkeypatch.setattr(source, "log_of_results", log_of_results)
    begun = KafkaSource(SETTINGS, SETTINGS.kafka.readings, 0, 1, logging.getLogger("source"))
    for _ in range(2):
        assert asked.acquire(timeout=HANG_SECONDS)
        assert (begun.new_partitions(set()), begun.poll(0, False), begun.changed()) == ({}, {}, None)
    answers.set()
    wait_until(lambda: begun.new_partitions(set()), "it does not begin")


def test_a_kafka_without_ids_is_refused(broker):
    broker.id = None
    with pytest.raises(UserError, match=r"older than 2\.8"):
        KafkaSource(SETTINGS, SETTINGS.kafka.readings, 0, 1, logging.getLogger("source"))


# -- a position that the log does not have -----------------------------------------------------------


def test_what_retention_took_is_counted_and_reading_goes_on(broker, start, caplog):
    broker.group[tp(0)] = OffsetAndMetadata(1000, "", 2)
    broker.begin, broker.end = {0: 1040}, {0: 2000}
    begun = start()
    begun.new_partitions(set())
    broker.error = OffsetOutOfRangeError({tp(0): 1000})
    assert begun.poll(0, False) == {}
    assert "retention overtook partition 0: 40 offsets from 1000 on are lost" in caplog.text
    assert (begun.overtaken(), begun.overtaken()) == ({0}, set()), "it is told once"
    assert (begun.position(0), begun.changed()) == (1040, None)


@pytest.mark.parametrize("end", [0, 40, 999, 5000])
def test_a_log_that_lost_its_end_is_not_read_on(broker, start, end):
    broker.group[tp(0)] = OffsetAndMetadata(1000, "", 2)
    broker.end = {0: end}  # 5000: written beyond meanwhile, of which the broker can tell by the epoch
    begun = start()
    assert begun.new_partitions(set()) == {0: 1000}
    assert begun.ends() == ({} if end < 1000 else {0: end}), "it must not be taken for read to its end"
    broker.error = OffsetOutOfRangeError({tp(0): 1000})
    assert begun.poll(0, False) == {}
    assert "partition 0 lost its end: it was read up to offset 1000" in begun.changed()
    assert "docs/upgrades.md" in begun.changed()


def test_the_leaders_epoch_tells_it_too_and_the_next_run_knows(broker, start):
    broker.group[tp(0)] = OffsetAndMetadata(900, "", 2)
    begun = start()
    begun.new_partitions(set())
    broker.records = {0: ["x"] * 100}
    begun.poll(0, False)
    broker.error = LogTruncationError({tp(0): OffsetAndMetadata(950, "", 4)})
    assert begun.poll(0, False) == {}
    assert "it was read up to offset 1000" in begun.changed()
    # 900 is in the log still, but windows may know what was in it up to 1000.
    assert broker.group[tp(0)] == OffsetAndMetadata(900, begun.changed(), 2)
    broker.error = None
    again = start()
    again.new_partitions(set())
    assert again.changed() == begun.changed()


def test_what_is_lost_is_told_also_if_it_can_not_be_noted(broker, start, monkeypatch, caplog):
    begun = start()
    begun.new_partitions(set())

    def away(*_: object, **__: object) -> None:
        raise KafkaTimeoutError

    monkeypatch.setattr(broker, "commit", away)
    broker.error = OffsetOutOfRangeError({tp(0): 0})
    begun.poll(0, False)
    assert "lost its end" in begun.changed()
    assert "could not be noted" in caplog.text


def test_a_position_that_a_topic_made_anew_does_not_have(broker, start, monkeypatch):
    """Its id is learnt only now."""
    broker.group[tp(0)] = OffsetAndMetadata(1000, "", 2)
    begun = start()
    begun.new_partitions(set())
    broker.error = OffsetOutOfRangeError({tp(0): 1000})
    monkeypatch.setattr(broker, "topics", lambda: setattr(broker, "id", NEW))
    begun.poll(0, False)
    assert "made again" in begun.changed()


# -- an open transaction ------------------------------------------------------------------------------


def test_a_partition_that_waits_for_an_open_transaction_is_named_once_a_minute(broker, start, monkeypatch, caplog):
    begun = start()
    begun.new_partitions(set())
    now = [0.0]
    monkeypatch.setattr(source, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def named(seconds: float, end: int, highwater: int) -> int:
        """How often in as many seconds of a tick each second, with such ends."""
        caplog.clear()
        broker.end, broker.highwaters = {0: end}, {0: highwater}
        for _ in range(int(seconds)):
            now[0] += 1
            assert begun.ends() == {0: end}
        return caplog.text.count(
            f"topic readings, partition 0: what follows offset {end} waits for an open transaction"
        )

    assert named(200, 0, 0) == 0
    assert named(59, 10, 20) == 0
    assert named(59, 15, 20) == 0, "it moves"
    assert named(181, 20, 30) == 3
    assert named(200, 30, 30) == 0


def test_a_version_that_read_beyond_an_open_transaction_is_waited_for(broker, start):
    broker.group[tp(0)] = OffsetAndMetadata(50, "", 2)
    broker.end, broker.highwaters = {0: 40}, {0: 60}
    begun = start()
    begun.new_partitions(set())
    assert (begun.ends(), begun.changed()) == ({}, None)
    broker.end = {0: 60}
    assert begun.ends() == {0: 60}
