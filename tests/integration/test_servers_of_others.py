"""Servers that ODA shares: topics, templates and tables that somebody else made, or other settings did."""

import json
from contextlib import closing, contextmanager

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from oda.core.rows import ClosedWindow, Rejected
from oda.errors import UserError
from oda.kafka.reader import read_to_end, reader
from oda.stores.cassandra import CassandraWriter, open_session
from oda.stores.elasticsearch import ElasticsearchWriter
from oda.stores.kafka import CUT, KafkaWriter
from oda.stores.schema import TEMPLATE_PRIORITY
from support import wait_until

KAFKAS_OWN_LIMIT = 1_048_588
WINDOW = ClosedWindow("a" * 249, 0, 1000, 5, 1.0, 0.5, 0, 4, 5, "data", 0)


@pytest.fixture
def isolated(cluster, tmp_path):
    return cluster.isolated(tmp_path)


@pytest.fixture
def elasticsearch(cluster):
    with Elasticsearch(cluster.settings.elasticsearch.urls.split(",")) as client:
        yield client


@contextmanager
def template(client, pattern, priority):
    """A template of another team."""
    client.indices.put_index_template(name="another-team", index_patterns=[pattern], priority=priority)
    try:
        yield
    finally:
        client.indices.delete_index_template(name="another-team")


@contextmanager
def administrator(settings):
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka.brokers)) as admin:
        yield admin


def make_topic(settings, name, **configs):
    configs = {key.replace("_", "."): str(value) for key, value in configs.items()}
    with administrator(settings) as admin:
        admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})


def written(settings, topic):
    with reader(settings.kafka, [topic], from_beginning=True) as consumer:
        return [record for _, records in read_to_end(consumer) for record in records]


def test_a_catch_all_template_does_not_matter_and_one_in_the_way_is_shown_where_people_look(isolated, elasticsearch):
    """Nor does a topic with Kafka's own limits, and a malformed message that is larger with its reason."""
    settings = isolated.settings
    make_topic(settings, settings.kafka.rejected)
    malformed = b"{" * (KAFKAS_OWN_LIMIT - 100)
    with isolated.topology() as name:
        with template(elasticsearch, f"{settings.elasticsearch.prefix}-*", TEMPLATE_PRIORITY):
            wait_until(lambda: "that have the same priority" in last_error(isolated, name), "no error in the Storm UI")
        with template(elasticsearch, "*", 0):
            with KafkaProducer(bootstrap_servers=settings.kafka.brokers, max_request_size=2**21) as producer:
                producer.send(settings.kafka.readings, malformed, key=b"k" * 10)
            isolated.oda("collect", "walk", "--rate", 0, "--count", 2000)
            isolated.verify()
    (copy,) = written(settings, settings.kafka.rejected)
    assert dict(copy.headers)["oda.reason"].decode().endswith(CUT)
    assert copy.key == b"k" * 10
    assert malformed.startswith(copy.value)
    assert len(copy.value) > KAFKAS_OWN_LIMIT - 1000


def last_error(isolated, name):
    found = isolated.storm.api.topology_id(name)
    errors = isolated.storm.api.ask(f"topology/{found}/component/elasticsearch")["componentErrors"]
    return " ".join(error["error"] for error in errors)


def test_our_indices_are_strict_whatever_others_say_of_all(isolated, elasticsearch):
    settings = isolated.settings.elasticsearch
    with template(elasticsearch, "*", 0):
        ElasticsearchWriter(settings, "readings")
        found = elasticsearch.indices.simulate_index_template(name=f"{settings.prefix}-windows-2026.11")
    assert found["template"]["mappings"]["dynamic"] == "strict"


def test_a_template_of_our_priority_is_refused_in_elasticsearchs_own_words(isolated, elasticsearch):
    settings = isolated.settings.elasticsearch
    with (
        template(elasticsearch, f"{settings.prefix}-win*", TEMPLATE_PRIORITY),
        pytest.raises(BadRequestError, match="another-team"),
    ):
        ElasticsearchWriter(settings, "readings")


def test_other_shards_and_replicas_count_for_new_indices_and_that_is_said(isolated, elasticsearch):
    settings = isolated.settings.elasticsearch
    writer = ElasticsearchWriter(settings, "readings")
    assert writer.notes == []
    writer.windows(0, 1, [WINDOW])
    writer.flush()
    changed = settings.model_copy(update={"shards": 2, "replicas": 1})
    shards, replicas = ElasticsearchWriter(changed, "readings").notes
    old = f"{settings.prefix}-windows-1970s"
    assert f"oda.elasticsearch.shards is 2, and 1 indices were made with another number, such as {old}" in shards
    assert "oda.elasticsearch.replicas is 1" in replicas
    found = elasticsearch.indices.simulate_index_template(name=f"{settings.prefix}-windows-2026.11")
    assert found["template"]["settings"]["index"]["number_of_shards"] == "2"


def test_rows_live_for_as_long_as_the_settings_say_now(isolated):
    settings = isolated.settings.cassandra
    CassandraWriter(settings)
    changed = settings.model_copy(update={"ttl_days": 7, "replication": 2})
    (note,) = CassandraWriter(changed).notes
    assert f"oda.cassandra.replication is 2, and keyspace {settings.keyspace} was made with" in note
    assert "ALTER KEYSPACE" in note
    session = open_session(settings)
    tables = session.cluster.metadata.keyspaces[settings.keyspace].tables
    lives = {name: table.options["default_time_to_live"] for name, table in tables.items()}
    session.cluster.shutdown()
    forever = {"snapshots": 0, "snapshot_chunks": 0, "topics": 0}
    assert lives == {"readings": 7 * 86_400, "windows": 7 * 86_400, "anomalies": 7 * 86_400, **forever}


def write(settings, *messages):
    """As the sink does, with a writer of its own."""
    with closing(KafkaWriter(settings.kafka)) as writer:
        for message in messages:
            (writer.rejected if isinstance(message, Rejected) else writer.windows)(0, [message])
        writer.flush()


def test_a_topic_that_takes_no_row_is_named_and_so_is_the_fix(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.windows, max_message_bytes=300)
    with pytest.raises(UserError, match=rf"{settings.kafka.windows} takes no message of more than 300 bytes"):
        write(settings, WINDOW)
    set_limit(settings, settings.kafka.windows, KAFKAS_OWN_LIMIT)
    write(settings, WINDOW)
    assert len(written(settings, settings.kafka.windows)) == 1


def set_limit(settings, topic, limit):
    with administrator(settings) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(limit)})])


def test_rows_that_fit_one_by_one_are_written_where_all_together_do_not(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.windows, max_message_bytes=1000)
    write(settings, *[WINDOW] * 50)
    found = written(settings, settings.kafka.windows)
    assert [json.loads(record.value)["series"] for record in found] == [WINDOW.series] * 50


@pytest.mark.parametrize("limit", [2000, 50_000, KAFKAS_OWN_LIMIT])
def test_what_is_rejected_is_cut_to_what_the_topic_takes(isolated, limit):
    settings = isolated.settings
    make_topic(settings, settings.kafka.rejected, max_message_bytes=limit)
    messages = [Rejected(number, "not JSON", b"k" * number, b"{" * limit) for number in (0, 100, limit)]
    write(settings, *messages)
    sizes = [len(record.key) + len(record.value) for record in written(settings, settings.kafka.rejected)]
    assert len(sizes) == 3
    assert all(limit - 500 < size < limit for size in sizes)


def test_a_compacted_topic_takes_messages_without_a_key_and_what_it_loses_is_said(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.rejected, cleanup_policy="compact")
    assert f"topic {settings.kafka.rejected} is compacted" in " ".join(KafkaWriter(settings.kafka).notes)
    write(settings, Rejected(7, "not JSON", None, b"{"), Rejected(8, "no value", None, None))
    keys = [record.key for record in written(settings, settings.kafka.rejected)]
    assert keys
    assert set(keys) == {b""}


def test_a_topic_that_wants_more_replicas_than_it_has_is_named(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.anomalies, min_insync_replicas=2)
    with pytest.raises(UserError, match=rf"{settings.kafka.anomalies} takes no message: its min\.insync"):
        KafkaWriter(settings.kafka)


def test_topics_made_with_other_numbers_are_noted(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.readings)
    (note,) = KafkaWriter(settings.kafka).notes
    assert f"oda.kafka.partitions is 4, and topic {settings.kafka.readings} was made with 1" in note
