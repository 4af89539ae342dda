"""Producers that write in transactions, as every reader sees them: the topology and its audit, commands, a spool."""

import json
import secrets
from collections import Counter
from contextlib import closing, contextmanager

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource

from oda.collect.delivered import HEADER, delivered, mark
from oda.collect.spool import Spool
from oda.core.kinds import REJECTED, WINDOWS
from oda.kafka.topics import create_topics
from oda.stores.cassandra import CassandraStore
from oda.stores.kafka import KafkaStore
from support import wait_until

START = 1_732_300_000_000


@contextmanager
def transactional(settings):
    """A producer of transactions, which begin and end as the test says."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.brokers,
        transactional_id=secrets.token_hex(4),
        transaction_timeout_ms=600_000,  # the broker aborts what is open for longer
    )
    producer.init_transactions()
    try:
        yield producer
    finally:
        producer.close()


def send(producer, settings, series: str, times, value: float = 1.0, **options) -> None:
    """One reading for each of the times, ms after START, acknowledged; by Kafka's partitioner unless told otherwise."""
    for time in times:
        reading = {"series": series, "time": START + time, "value": value}
        producer.send(settings.kafka.readings, json.dumps(reading).encode(), key=series.encode(), **options)
    producer.flush()


@pytest.fixture(autouse=True, scope="module")
def works(stream) -> None:
    """The topology has begun: a first reading is stored."""
    create_topics(stream.settings.kafka)
    with KafkaProducer(bootstrap_servers=stream.settings.kafka.brokers) as producer:
        send(producer, stream.settings, "first", [0])
    stream.verify()


def wait_for_windows(settings, expected: dict[str, list[tuple[int, int]]]) -> None:
    """Until these are all that is stored of these series: starts, ms after START, and counts."""
    found: dict[str, list[tuple[int, int]]] = {}

    def are_there() -> bool:
        with closing(CassandraStore(settings)) as online:
            rows = [row for _, row in online.rows(WINDOWS)]
        for series in expected:
            found[series] = sorted((row["start"] - START, row["count"]) for row in rows if row["series"] == series)
        return found == expected

    wait_until(are_there, f"these windows are not there: {expected}")


def test_what_an_aborted_transaction_wrote_is_counted_by_nobody(stream):
    settings = stream.settings
    with (
        transactional(settings) as one,
        transactional(settings) as other,
        KafkaProducer(bootstrap_servers=settings.kafka.brokers) as plain,
    ):
        for second in range(0, 10_000, 1000):  # two a window, of which one is aborted; and one that is in none
            one.begin_transaction()
            other.begin_transaction()
            send(one, settings, "aborted", [second], value=1e9)
            send(other, settings, "committed", [second])
            send(plain, settings, "plain", [second])
            send(one, settings, "committed", [second], value=1e9)
            other.commit_transaction()
            one.abort_transaction()
            send(plain, settings, "committed", [second + 500])
    stream.verify()
    starts = range(0, 10_000, 2000)
    expected = {"aborted": [], "committed": [(start, 4) for start in starts], "plain": [(start, 2) for start in starts]}
    wait_for_windows(settings, expected)
    found = stream.oda("consume", "--topic", settings.kafka.readings, "--from-beginning", "--max-messages", 30).stdout
    series = Counter(json.loads(line).get("series", "the clock's") for line in found.splitlines())
    assert series.keys() <= {"first", "committed", "plain", "the clock's"}
    assert series["committed"], "the aborted ones lie between these"


def test_what_waits_for_an_open_transaction_is_told_and_done_when_it_ends(stream):
    settings = stream.settings
    with transactional(settings) as producer, KafkaProducer(bootstrap_servers=settings.kafka.brokers) as plain:
        producer.begin_transaction()
        send(producer, settings, "open", [0], partition=0)
        send(plain, settings, "behind", [0], partition=0)
        waiting = stream.oda("verify", "--wait", 5, check=False)
        assert waiting.returncode == 1, waiting.stdout + waiting.stderr
        assert f"topic {settings.kafka.readings}, partition 0: what follows offset" in waiting.stdout
        assert "waits for an open transaction" in waiting.stdout
        assert "Not drained: 2 offsets" in waiting.stdout
        producer.abort_transaction()
        stream.verify()
    wait_for_windows(settings, {"open": [], "behind": [(0, 1)]})


def test_a_spool_finds_what_it_delivered_wherever_it_stands(cluster, tmp_path):
    settings = cluster.isolated(tmp_path).settings
    create_topics(settings.kafka)
    with Spool(tmp_path / "spool", settings.kafka.readings, 2**22) as spool:
        assert delivered(settings.kafka, spool) == set()
        with transactional(settings) as producer, KafkaProducer(bootstrap_servers=settings.kafka.brokers) as plain:
            producer.begin_transaction()
            send(producer, settings, "open", [0], partition=0)
            send(plain, settings, "behind", [0], partition=0, headers=[(HEADER, mark(spool.id, 7))])
            assert delivered(settings.kafka, spool) == {7}
            producer.abort_transaction()
        assert delivered(settings.kafka, spool) == {7}


def test_producers_whose_clocks_are_wrong_lose_no_reading(stream):
    """In a topic with its producers' time, as an administrator may have made it."""
    settings = stream.settings
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka.brokers)) as admin:
        mine = {"message.timestamp.type": "CreateTime"}
        admin.alter_configs([ConfigResource("topic", settings.kafka.readings, mine)])
        with KafkaProducer(bootstrap_servers=settings.kafka.brokers) as producer:
            for number, stamp in enumerate((0, -1, START // 1000, START - 30 * 86_400_000, START)):
                send(producer, settings, f"stamped-{number}", [0], timestamp_ms=stamp)
            send(producer, settings, "ahead", [400 * 86_400_000], timestamp_ms=START)
        admin.alter_configs(
            [ConfigResource("topic", settings.kafka.readings, {"message.timestamp.type": "LogAppendTime"})]
        )
    stream.verify()
    wait_for_windows(settings, {f"stamped-{number}": [(0, 1)] for number in range(5)})
    with closing(KafkaStore(settings)) as store:
        rejected = [row["value"] for _, row in store.rows(REJECTED)]
    assert [json.loads(value)["series"] for value in rejected] == ["ahead"]


def test_series_that_are_in_several_partitions_are_named(stream):
    settings = stream.settings
    assert "several partitions" not in stream.oda("verify").stdout
    with KafkaProducer(bootstrap_servers=settings.kafka.brokers) as producer:
        for partition in range(2):
            send(producer, settings, "scattered", [0], partition=partition)
    told = stream.oda("verify").stdout
    assert "1 series are in several partitions" in told
    assert "'scattered'" in told
    assert "All stores agree" in told
