"""The producer and the collecting loop, against a Kafka that is told what to answer."""

import time
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError
from kafka.partitioner import DefaultPartitioner

from oda.collect import fate, run
from oda.collect import producer as module
from oda.collect.producer import Producer
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.kafka.partitioner import RememberingPartitioner
from oda.settings import Kafka

NOW = 1_732_300_000_000


class Future:
    """The answer to one message: `answer` is None (not yet), True (acknowledged) or an error."""

    def __init__(self, answer):
        self.answer = answer

    @property
    def is_done(self):
        return self.answer is not None

    def get(self, timeout):
        if self.answer is None:
            if not timeout:
                raise KafkaTimeoutError
            self.answer = True  # it would have blocked until Kafka answers
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(partition=0, offset=7)


class Metadata:
    """What kafka-python knows of the cluster; `refresh` with the topic's id, None when there is no such topic."""

    def __init__(self):
        self.listeners = []
        self.id = 1

    def add_listener(self, listener):
        self.listeners.append(listener)

    def refresh(self, topic_id):
        self.id = topic_id
        for listener in self.listeners:
            listener(self)

    def partitions_for_topic(self, _topic):
        return {0} if self.id else None

    def topic_id(self, _topic):
        return self.id


class Client:
    """Stands in for KafkaProducer; `answers` are for the messages to come."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.values = []
        self.closed = False
        self._sender = self
        self._metadata = Metadata()

    def send(self, _topic, value, key, headers):  # noqa: ARG002
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, type | ValueError):
            raise answer
        self.values.append(value)
        return Future(answer)

    def partitions_for(self, _topic):
        pass

    def force_close(self):
        pass

    def join(self, timeout):
        pass

    def close(self, timeout):  # noqa: ARG002
        self.closed = True


@pytest.fixture
def connected(monkeypatch):
    def connect(*answers) -> tuple[Producer, Client]:
        client = Client(answers)
        monkeypatch.setattr(module.client, "producer", lambda *_, **__: client)
        return Producer(Kafka(brokers="here:9092"), "readings"), client

    return connect


def test_what_is_pending_is_bounded_and_nothing_dropped(connected, monkeypatch):
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    producer, client = connected()
    for number in range(10):
        producer.send(b"%d" % number)
        assert producer.sent - producer.acknowledged <= 3
    assert client.values == [b"%d" % number for number in range(10)]


def test_a_message_that_was_not_taken_is_sent_again(connected):
    producer, client = connected(KafkaTimeoutError, KafkaTimeoutError, True)
    producer.send(b"a")
    assert (client.values, producer.sent, producer.acknowledged) == ([b"a"], 1, 1)


def test_a_topic_that_is_made_anew_or_gone_ends_it_with_what_was_acknowledged(connected, monkeypatch):
    monkeypatch.setattr(fate, "UNKNOWN", 0)
    for fates, said in (([1, 2], "was deleted, and made anew"), ([1, None], "is not there any more")):
        producer, client = connected(True, None, None)
        for message in (b"a", b"b"):
            producer.send(message)
        for topic_id in fates:
            client._metadata.refresh(topic_id)
        expected = (
            rf"the topic readings {said}: of 2 messages Kafka at .*here:9092 had acknowledged 1, which may be gone"
        )
        with pytest.raises(UserError, match=expected):
            producer.send(b"c")
        with pytest.raises(UserError, match=expected):
            producer.settle(0)
        with pytest.raises(UserError, match=expected):
            producer.close(timeout=0)
        assert client.closed


def test_a_topic_that_a_broker_does_not_know_for_a_moment_ends_nothing(connected):
    producer, client = connected()
    for topic_id in (None, 1, None, None, 1, 1):
        client._metadata.refresh(topic_id)
        producer.send(b"a")
    assert len(client.values) == 6


def test_a_topic_that_goes_while_a_partition_is_chosen_is_waited_for(connected):
    producer, client = connected(ValueError, TypeError, True)
    client._metadata.id = None
    producer.send(b"a")
    assert client.values == [b"a"]
    producer, _ = connected(ValueError("no partition"))
    with pytest.raises(ValueError, match="no partition"):
        producer.send(b"a")


def test_settling_counts_what_is_acknowledged_and_does_not_wait_for_the_rest(connected):
    producer, _ = connected(None, None, None)
    for _ in range(3):
        producer.send(b"a")
    producer.settle(0)
    assert (producer.acknowledged, producer.positions) == (0, {})
    for future in list(producer._pending)[:2]:
        future.answer = True
    producer.settle(0)
    assert (producer.sent, producer.acknowledged, producer.positions) == (3, 2, {0: 8})


def test_a_refused_message_is_an_error_that_names_the_broker_and_the_topic(connected):
    producer, client = connected(TopicAuthorizationFailedError())
    with pytest.raises(UserError, match=r"here:9092 refused a message for readings"), producer:
        producer.send(b"a")
    assert client.closed
    assert producer.acknowledged == 0


def test_the_end_says_how_many_were_left(connected):
    producer, client = connected(True, None, None)
    for _ in range(3):
        producer.send(b"a")
    with pytest.raises(UserError, match="did not acknowledge 2 messages"):
        producer.close(timeout=0)
    assert client.closed
    assert producer.acknowledged == 1


def test_collect_sends_in_order_and_prints_the_sum(connected, capsys):
    producer, client = connected(True, True)
    readings = [Reading("a", NOW, 0.5), Reading("a", NOW + 1, 1.5)]
    run.collect([(0.0, reading) for reading in readings], producer)
    assert client.values == [encode(reading) for reading in readings]
    assert capsys.readouterr().out == "2 of 2 readings acknowledged by Kafka\n"


def test_collect_waits_until_a_reading_is_due_and_stops_in_time(connected):
    producer, client = connected(True, True)
    began = time.time()
    later = [(began * 1000 + 100, Reading("a", 1, 0.5)), (began * 1000 + 60_000, Reading("a", 2, 1.5))]
    run.collect(later, producer, seconds=0.3)
    assert len(client.values) == 1
    assert 0.3 <= time.time() - began < 5


def test_while_it_waits_it_says_for_how_long(monkeypatch):
    now, said, pause = [1000.0], [], run._Pause()

    def sleep(seconds):
        said.append(str(pause))
        now[0] += seconds

    monkeypatch.setattr(run, "time", SimpleNamespace(time=lambda: now[0], sleep=sleep))
    pause.until(1150.0)
    assert said == [f"; the next is due in 0:0{time}" for time in ("2:30", "1:30", "0:30")]
    assert str(pause) == ""


def test_ctrl_c_still_waits_for_kafka_and_prints_the_sum(connected, capsys):
    producer, client = connected(True)

    def interrupted():
        yield 0.0, Reading("a", 1, 0.5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.collect(interrupted(), producer)
    assert client.closed
    assert capsys.readouterr().out == "1 of 1 readings acknowledged by Kafka\n"


def test_a_key_has_the_partition_that_kafka_gives_it():
    class Cluster:
        def topics(self):
            return {"readings"}

        def partitions_for_topic(self, _topic):
            return set(range(7))

        available_partitions_for_topic = partitions_for_topic

    remembering, cluster = RememberingPartitioner(), Cluster()
    for _ in range(2):
        for key in (b"pump-%d" % number for number in range(50)):
            expected = DefaultPartitioner().partition("readings", key, key, b"", b"", cluster)
            assert remembering.partition("readings", key, key, b"", b"", cluster) == expected
    keyless = {remembering.partition("readings", None, None, b"", b"", cluster) for _ in range(200)}
    assert keyless == set(range(7))
