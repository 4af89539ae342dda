"""Each role can do its own, and no more."""

import json
import logging
from contextlib import closing
from pathlib import Path

import pytest
from cassandra import Unauthorized
from elasticsearch import AuthorizationException
from kafka import TopicPartition
from kafka.errors import AuthorizationError

from oda.collect.producer import Producer
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.clock import ClockWriter
from oda.kafka.group import Group
from oda.kafka.reader import reader
from oda.kafka.source import KafkaSource
from oda.kafka.topics import create_topics, list_topics
from oda.settings import Settings, load_options
from oda.stores.cassandra import CassandraStore
from oda.stores.catalogue import STORES
from oda.stores.contract import Store
from oda.stores.elasticsearch import ElasticsearchStore, connect
from oda.stores.session import open_session
from secured.servers import Servers, as_user
from support import Cluster, wait_until


def sends(settings: Settings, topic: str) -> bool:
    with closing(client.producer(settings.kafka, max_block_ms=5_000)) as producer:
        try:
            producer.send(topic, b"{}", key=b"k", partition=0).get(30)
        except AuthorizationError:
            return False
    return True


def reads(settings: Settings, topic: str, group: str | None = None) -> bool:
    options = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with closing(client.consumer(settings.kafka, **options)) as consumer:
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        try:
            consumer.poll(3_000)
            if group:
                consumer.commit(timeout_ms=10_000)
        except AuthorizationError:
            return False
    return True


def commits(settings: Settings, group: str) -> bool:
    return reads(settings, settings.kafka.readings, group)


def runs(settings: Settings, *statements: str) -> list[bool]:
    """Which of the statements Cassandra lets the account run."""
    found = []
    session = open_session(settings.cassandra)
    with session.cluster:
        for statement in statements:
            try:
                session.execute(statement)
                found.append(True)
            except Unauthorized:
                found.append(False)
    return found


def test_the_topology_reads_readings_and_writes_results_and_no_more(roles: Servers) -> None:
    settings = roles.role("topology")
    kafka = settings.kafka
    create_topics(kafka)  # sees that all are there
    assert [sends(settings, topic) for topic in (kafka.windows, kafka.incidents, kafka.readings)] == [True] * 3
    assert [sends(settings, topic) for topic in (kafka.rules, kafka.verdicts, kafka.audits)] == [False] * 3
    assert commits(settings, kafka.group)
    assert not commits(settings, "another")
    assert runs(
        settings,
        f"SELECT * FROM {settings.cassandra.keyspace}.windows LIMIT 1",
        f"INSERT INTO {settings.cassandra.keyspace}.topics (topic, id) VALUES ('t', uuid()) IF NOT EXISTS",
        f"DROP TABLE {settings.cassandra.keyspace}.windows",
        f"CREATE TABLE {settings.cassandra.keyspace}.more (a int PRIMARY KEY)",
        "CREATE ROLE another",
    ) == [True, True, False, False, False]


def test_the_topologys_stores_open_without_a_right_to_alter_them(roles: Servers) -> None:
    settings = roles.role("topology")
    with closing(ElasticsearchStore(settings)) as store:
        store.migrate()
        assert "may not alter templates" in store.notes[0]
    with connect(settings.elasticsearch) as elastic:
        elastic.index(index="oda-windows-0", id="x", document={"topic": "t"})
        with pytest.raises(AuthorizationException):
            elastic.index(index="another", document={})
        with pytest.raises(AuthorizationException):
            elastic.indices.delete(index="oda-windows-0")


def test_the_topologys_own_parts_start_and_work_with_its_rights(roles: Servers) -> None:
    settings = roles.role("topology")
    for store in STORES:
        with closing(store.open(settings)) as opened:
            opened.migrate()
    assert sends(roles.role("collector"), settings.kafka.readings)
    source = KafkaSource(settings, settings.kafka.readings, 0, 1, logging.getLogger("test"))
    with closing(source._consumer):
        found = wait_until(lambda: source.new_partitions(set()), "no partition was taken on")
        wait_until(lambda: 0 in source.poll(1_000, False), "nothing was read")
        assert source.commit(found)
        ClockWriter(settings.kafka).write(0, 0, {"s": 0}, [])
        Group(roles.role("auditor").kafka).committed()


def test_without_templates_a_topology_that_may_not_make_them_writes_nothing(roles: Servers) -> None:
    with connect(roles.settings().elasticsearch) as elastic:
        elastic.indices.delete(index="oda-anomalies-0")
    with (
        closing(ElasticsearchStore(roles.role("topology"))) as store,
        pytest.raises(UserError, match="run `oda admin`"),
    ):
        store.migrate()
    with closing(ElasticsearchStore(roles.settings())) as store:
        store.make()


def test_a_collector_sees_its_own_topic_only(roles: Servers, tmp_path: Path) -> None:
    settings = roles.role("collector")
    kafka = settings.kafka
    assert list_topics(kafka) == [kafka.readings]
    with pytest.raises(UserError, match=r"oda\.kafka\.security\.user = oda-collector may not use it"):
        create_topics(kafka)
    assert sends(settings, kafka.readings)
    assert not sends(settings, kafka.windows)
    assert not commits(settings, kafka.group)
    options = load_options(roles.config, "local")
    document = json.loads(roles.config.read_text())
    document["envs"]["local"]["options"] = as_user(options, roles.ca, "oda-collector", roles.password("collector"))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(document))
    done = Cluster(config).oda("collect", "walk", "--seconds", "2")
    assert "readings acknowledged by Kafka" in done.stdout


def test_a_reader_reads_everything_and_writes_verdicts_only(roles: Servers) -> None:
    settings = roles.role("reader")
    kafka = settings.kafka
    create_topics(kafka)
    assert all(reads(settings, topic) for topic in (kafka.readings, kafka.anomalies, kafka.rules, kafka.audits))
    assert [sends(settings, topic) for topic in (kafka.verdicts, kafka.readings, kafka.rules)] == [True, False, False]
    assert commits(settings, f"{kafka.group}.notify.mail")
    assert not commits(settings, kafka.group)
    keyspace = settings.cassandra.keyspace
    statements = f"SELECT * FROM {keyspace}.windows LIMIT 1", f"TRUNCATE {keyspace}.windows"
    assert runs(settings, *statements) == [True, False]
    with connect(settings.elasticsearch) as elastic:
        elastic.search(index="oda-windows-*")
        with pytest.raises(AuthorizationException):
            elastic.index(index="oda-windows-0", document={"topic": "t"})


def test_an_auditor_reads_everything_and_writes_audits_only(roles: Servers) -> None:
    settings = roles.role("auditor")
    kafka = settings.kafka
    create_topics(kafka)
    assert all(reads(settings, topic) for topic in (kafka.readings, kafka.bands, kafka.rejected))
    assert [sends(settings, topic) for topic in (kafka.audits, kafka.verdicts)] == [True, False]
    with closing(client.consumer(kafka, group_id=kafka.group)) as consumer:
        consumer.committed(TopicPartition(kafka.readings, 0))
    assert not commits(settings, kafka.group)
    keyspace = settings.cassandra.keyspace
    insert = f"INSERT INTO {keyspace}.topics (topic, id) VALUES ('t', uuid())"
    assert runs(settings, f"SELECT * FROM {keyspace}.readings LIMIT 1", insert) == [True, False]


def test_a_right_that_is_missing_is_one_line_too(roles: Servers) -> None:
    collector, looker = roles.role("collector"), roles.role("reader")
    windows = collector.kafka.windows

    def write() -> None:
        with Producer(collector.kafka, windows) as producer:
            producer.send(b"{}")

    def read() -> None:
        with reader(collector.kafka, [windows], from_beginning=True):
            pass

    def alter(store: Store) -> None:
        with closing(store):
            store.drop()

    tries = {
        "oda.kafka.security.user = oda-collector": (write, read),
        "oda.cassandra.security.user = oda-reader": (lambda: alter(CassandraStore(looker)),),
        "oda.elasticsearch.security.user = oda-reader": (lambda: alter(ElasticsearchStore(looker)),),
    }
    for account_, attempts in tries.items():
        for attempt in attempts:
            with pytest.raises(UserError) as error:
                attempt()
            assert len(str(error.value).splitlines()) == 1
            assert f"{account_} lacks a right" in str(error.value)
            assert "`oda admin`" in str(error.value)


def test_what_is_printed_holds_no_password(roles: Servers) -> None:
    done = Cluster(roles.config).oda("admin", "--user", "topology=oda-topology", "--print")
    assert "kafka-acls.sh" in done.stdout
    assert 'GRANT MODIFY ON KEYSPACE oda TO "oda-topology";' in done.stdout
    assert "-secret" not in done.stdout
