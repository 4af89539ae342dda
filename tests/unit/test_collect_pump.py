"""From the spool into Kafka, with a producer that acknowledges what it is told to."""

import pytest

from oda.collect.delivered import HEADER, mark
from oda.collect.pump import Pump
from oda.collect.spool import Spool


class Kafka:
    """Stands in for a Producer."""

    def __init__(self):
        self.messages = []
        self.marks = []
        self.acknowledged = 0
        self.positions = {}

    @property
    def sent(self):
        return len(self.messages)

    def send(self, value, key, headers):
        self.messages.append((key, value))
        self.marks.append(headers)

    def settle(self, timeout):
        pass

    def acknowledge(self, count):
        self.acknowledged += count
        self.positions = {0: 100 + self.acknowledged}


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setattr("oda.collect.pump.DROP", 0)
    with Spool(tmp_path, "readings", 2**22) as spool:
        yield spool


def readings(count: int) -> list[bytes]:
    return [b'{"series":"s%d","time":%d,"value":0.5}' % (n % 2, n) for n in range(count)]


def numbers(spool: Spool) -> list[int]:
    return [number for number, _ in spool.read(0, 100)]


def test_messages_go_in_order_with_key_and_mark_and_stay_until_acknowledged(spool):
    kafka = Kafka()
    pump = Pump(spool, kafka, found=set())
    spool.append(readings(5))
    assert not pump.step()
    assert pump.waits
    assert kafka.messages == [(b"s%d" % (n % 2), message) for n, message in enumerate(readings(5))]
    assert kafka.marks == [[(HEADER, mark(spool.id, n))] for n in range(5)]
    assert numbers(spool) == [0, 1, 2, 3, 4]
    kafka.acknowledge(3)
    assert pump.step()
    assert (numbers(spool), spool.positions) == ([3, 4], {0: 103})
    kafka.acknowledge(2)
    spool.append(readings(1))
    assert pump.step()
    assert numbers(spool) == [5]
    assert kafka.sent == 6


def test_what_kafka_has_already_is_not_sent_again(spool):
    kafka = Kafka()
    spool.append(readings(5))
    spool.drop(0, {0: 50})
    pump = Pump(spool, kafka, found={1, 3})
    pump.step()
    assert [message for _, message in kafka.messages] == [readings(5)[n] for n in (0, 2, 4)]
    kafka.acknowledge(1)
    pump.step()
    assert numbers(spool) == [2, 3, 4]
    assert spool.positions == {0: 50}  # number 3 must be found again, should we be killed now
    kafka.acknowledge(1)
    pump.step()
    assert (numbers(spool), spool.positions) == ([4], {0: 102})


def test_when_kafka_has_all_of_it_nothing_is_sent(spool):
    kafka = Kafka()
    spool.append(readings(3))
    pump = Pump(spool, kafka, found={0, 1, 2})
    pump.step()
    assert (kafka.sent, len(spool), pump.waits) == (0, 0, False)


def test_what_is_not_acknowledged_is_bounded(spool, monkeypatch):
    monkeypatch.setattr("oda.collect.pump.MAX_PENDING", 4)
    kafka = Kafka()
    pump = Pump(spool, kafka, found=set())
    spool.append(readings(10))
    for _ in range(3):
        pump.step()
    assert kafka.sent == 4
    kafka.acknowledge(2)
    pump.step()
    pump.step()
    assert kafka.sent == 6
