"""What goes into the topics of results: also into those that somebody else made, with limits of their own."""

import pytest
from kafka.errors import KafkaError

from oda.core.kinds import Rejected
from oda.errors import Refused
from oda.kafka.topics import Topic, check_topics
from oda.settings import Cassandra, Elasticsearch, Kafka, Settings
from oda.stores.kafka import CUT, KafkaStore, _fitted

KIB = 1024
SETTINGS = Kafka(brokers="127.0.0.1:9092")


@pytest.mark.parametrize(
    ("key", "value"), [(None, None), (b"k", None), (None, b"v"), (b"k", b"{" * 64 * KIB), (b"", b"")]
)
def test_what_fits_is_left_as_it_came(key: bytes | None, value: bytes | None) -> None:
    assert _fitted(Rejected(7, "not JSON", key, value), 128 * KIB) == (key, value, b"not JSON")


@pytest.mark.parametrize("room", [0, 300, 1000, 1024 * KIB])
@pytest.mark.parametrize(("key", "value"), [(1024, 1024 * KIB), (1024 * KIB, 1024), (1024 * KIB, 1024 * KIB)])
def test_what_does_not_fit_is_cut_and_says_so(room: int, key: int, value: int) -> None:
    message = Rejected(7, "not JSON: é", b"k" * key, b"{" * value)
    found_key, found_value, reason = _fitted(message, room)
    assert found_key is not None
    assert found_value is not None
    assert message.key is not None
    assert message.key.startswith(found_key)
    assert set(found_value) <= {ord("{")}
    assert reason.decode() == "not JSON: é" + CUT
    assert len(found_key) + len(found_value) + len(reason) + 200 <= max(room, len(reason) + 200)


def test_as_much_is_kept_as_there_is_room_for() -> None:
    _, value, reason = _fitted(Rejected(7, "not JSON", b"k", b"{" * 2000), 1000)
    assert value is not None
    assert 1 + len(value) + len(reason) + 200 == 1000


def test_what_is_not_there_does_not_appear_by_being_cut() -> None:
    assert _fitted(Rejected(7, "", None, b"{" * 2000), 1000)[0] is None
    assert _fitted(Rejected(7, "", b"{" * 2000, None), 1000)[1] is None


def topic(name: str, **changes: int) -> Topic:
    return Topic(name, 1_048_588, False, 1, SETTINGS.partitions, SETTINGS.replication)._replace(**changes)


def test_of_topics_that_are_as_the_settings_say_there_is_nothing_to_note() -> None:
    assert check_topics([topic(name) for name in SETTINGS.topics], SETTINGS) == []


@pytest.mark.parametrize(
    ("changes", "name", "note"),
    [
        (
            {"partitions": 8},
            "readings",
            "oda.kafka.partitions is 4, and topic readings was made with 8, which",
        ),
        ({"replicas": 3}, "oda.windows", "oda.kafka.replication is 1, and topic oda.windows was made with 3"),
        ({"compacted": True}, "readings.rejected", "topic readings.rejected is compacted"),
    ],
)
def test_a_setting_that_a_topic_does_not_follow_is_noted(changes: dict[str, int], name: str, note: str) -> None:
    (found,) = check_topics([topic(name, **changes)], SETTINGS)
    assert note in found


def test_results_may_be_compacted() -> None:
    assert check_topics([topic("oda.windows", compacted=True)], SETTINGS) == []


@pytest.mark.parametrize("name", ["oda.windows", "oda.anomalies", "readings.rejected"])
def test_a_topic_that_can_take_no_message_is_named(name: str) -> None:
    with pytest.raises(Refused, match=rf"topic {name} takes no message: its min\.insync\.replicas is 2, and"):
        check_topics([topic(name, in_sync=2)], SETTINGS)


class Producer:
    """Ends for good with its first failure, as an idempotent one does."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.is_closed = False

    def flush(self) -> None:
        if self.fails:
            raise KafkaError("out of sequence")

    def close(self, **_: float) -> None:
        self.is_closed = True


def test_a_producer_that_failed_is_closed_and_another_goes_on_with_what_the_topics_take_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producers, looked = [Producer(fails=True), Producer(fails=False)], []
    opened = iter(producers)

    def look(_: Kafka) -> list[Topic]:
        looked.append(1)
        return [topic(name) for name in SETTINGS.topics]

    monkeypatch.setattr("oda.stores.kafka.find_topics", look)
    monkeypatch.setattr("oda.stores.kafka.client.producer", lambda *_, **__: next(opened))
    store = KafkaStore(
        Settings(
            kafka=SETTINGS,
            cassandra=Cassandra(hosts="127.0.0.1:9042"),
            elasticsearch=Elasticsearch(urls="http://127.0.0.1:9200"),
        )
    )
    with pytest.raises(KafkaError):
        store.write([])
    store.write([])
    store.write([])
    assert [producer.is_closed for producer in producers] == [True, False]
    assert len(looked) == 2
