"""Servers that ODA shares: topics, templates and tables that somebody else made, or other settings did."""

import json
import re
import time
from contextlib import closing, contextmanager

import msgspec
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from oda.core.kinds import ANOMALIES, INCIDENTS, REJECTED, WINDOWS, Anomaly, ClosedWindow, Incident, Rejected
from oda.errors import Refused
from oda.kafka.reader import read_to_end, reader
from oda.kafka.topics import create_topics
from oda.paths import ROOT
from oda.stores.cassandra import CassandraStore
from oda.stores.contract import Rows
from oda.stores.elasticsearch import ElasticsearchStore
from oda.stores.indices import TEMPLATE_PRIORITY
from oda.stores.kafka import CUT, KafkaStore
from oda.stores.keyspace import SNAPSHOT_TABLES
from oda.stores.session import open_session
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


def migrated(store, settings, **changes):
    """A store that is brought up to date, with other settings of its section."""
    section = store.__name__.removesuffix("Store").lower()
    changed = getattr(settings, section).model_copy(update=changes)
    opened = store(settings.model_copy(update={section: changed}))
    opened.migrate()
    return opened


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
    settings = isolated.settings
    with template(elasticsearch, "*", 0):
        migrated(ElasticsearchStore, settings)
        found = elasticsearch.indices.simulate_index_template(name=f"{settings.elasticsearch.prefix}-windows-2026.11")
    assert found["template"]["mappings"]["dynamic"] == "strict"


def test_a_template_of_our_priority_is_refused_in_elasticsearchs_own_words(isolated, elasticsearch):
    settings = isolated.settings
    with (
        template(elasticsearch, f"{settings.elasticsearch.prefix}-win*", TEMPLATE_PRIORITY),
        pytest.raises(Refused, match="another-team"),
    ):
        migrated(ElasticsearchStore, settings)


def test_other_shards_and_replicas_count_for_new_indices_and_that_is_said(isolated, elasticsearch):
    settings = isolated.settings
    store = migrated(ElasticsearchStore, settings)
    assert store.notes == []
    store.write([Rows(WINDOWS, 0, 1, [WINDOW])])
    shards, replicas = migrated(ElasticsearchStore, settings, shards=2, replicas=1).notes
    old = f"{settings.elasticsearch.prefix}-windows-1970s"
    assert f"oda.elasticsearch.shards is 2, and 1 indices were made with another number, such as {old}" in shards
    assert "oda.elasticsearch.replicas is 1" in replicas
    found = elasticsearch.indices.simulate_index_template(name=f"{settings.elasticsearch.prefix}-windows-2026.11")
    assert found["template"]["settings"]["index"]["number_of_shards"] == "2"


def test_rows_live_for_as_long_as_the_settings_say_now(isolated):
    settings = isolated.settings.cassandra
    migrated(CassandraStore, isolated.settings)
    (note,) = migrated(CassandraStore, isolated.settings, ttl_days=7, replication=2).notes
    assert f"oda.cassandra.replication is 2, and keyspace {settings.keyspace} was made with" in note
    assert "ALTER KEYSPACE" in note
    session = open_session(settings)
    tables = session.cluster.metadata.keyspaces[settings.keyspace].tables
    lives = {name: table.options["default_time_to_live"] for name, table in tables.items()}
    session.cluster.shutdown()
    forever = {name: 0 for names in SNAPSHOT_TABLES.values() for name in names} | {"topics": 0}
    assert lives == dict.fromkeys(("readings", "windows", "anomalies", "incidents", "bands"), 7 * 86_400) | forever


@pytest.mark.parametrize("kind", [CassandraStore, ElasticsearchStore, KafkaStore])
def test_a_store_gives_back_what_it_was_given(isolated, kind):
    topic = isolated.settings.kafka.readings
    rows = [WINDOW, msgspec.structs.replace(WINDOW, start=3_600_000, end=3_601_000, first_offset=7)]
    with closing(migrated(kind, isolated.settings)) as store:
        for _ in range(2):
            store.write([Rows(WINDOWS, 0, 1, rows)])
        expected = {f"{topic}:0:{row.first_offset}": WINDOWS.document(topic, 0, row) for row in rows}
        assert dict(store.rows(WINDOWS)) == expected
        assert list(store.recent(WINDOWS, WINDOW.series, 0, 3_600_001)) == list(expected.values())
        assert list(store.recent(WINDOWS, WINDOW.series, 1, 3_600_000)) == []
        assert list(store.recent(WINDOWS, "another", 0, 3_600_001)) == []


def incident(series, time, severity="warning", labels="{}", offset=7):
    """One that opens."""
    times = {"time": time, "changed": time, "last_time": time, "worst_time": time}
    values = {"worst_value": 9.0, "worst_score": 100.0, "expected": 1.0, "low": -1.0, "high": 3.0}
    return Incident(
        series=series, offset=offset, detector="level", number=0, change="opened", cause="data", severity=severity,
        found_at=offset, count=1, labels=labels, rules=4, **times, **values,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [CassandraStore, ElasticsearchStore, KafkaStore])
def test_rows_of_one_offset_are_told_apart_by_detector_and_number(isolated, kind):
    topic = isolated.settings.kafka.readings
    replace = msgspec.structs.replace
    anomaly = Anomaly("a", 5, 7, 9.0, 1.0, 0.5, 3, 0, "sigma/1", 100.0, 1.0, -1.0, 3.0, found_at=7, rules=0)
    opened = incident("a", 5, labels=json.dumps({"note": "a" * 40_000}))
    for rows_kind, rows in (
        (ANOMALIES, [replace(anomaly, detector="level"), anomaly]),
        (INCIDENTS, [opened, replace(opened, number=1, change="resolved"), replace(opened, detector="spikes")]),
    ):
        with closing(migrated(kind, isolated.settings)) as store:
            for _ in range(2):
                store.write([Rows(rows_kind, 0, 1, rows)])
            expected = {rows_kind.place(row): row for row in (rows_kind.document(topic, 0, row) for row in rows)}
            assert len(expected) == len(rows)
            assert dict(store.rows(rows_kind)) == expected
            assert list(store.recent(rows_kind, "a", 0, 6)) == list(expected.values())


@pytest.mark.parametrize("kind", [CassandraStore, ElasticsearchStore])
def test_of_two_rows_of_one_place_the_newer_one_stays(isolated, kind):
    with closing(migrated(kind, isolated.settings)) as store:
        for clock, count in ((2, 5), (3, 6), (1, 7)):
            store.write([Rows(WINDOWS, 0, clock, [msgspec.structs.replace(WINDOW, count=count)])])
        assert [row["count"] for _, row in store.rows(WINDOWS)] == [6]


@contextmanager
def cql(settings):
    session = open_session(settings.cassandra)
    with session.cluster:
        yield session


def make_keyspace(settings, *statements):
    """As another version would."""
    keyspace = settings.cassandra.keyspace
    options = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
    with cql(settings) as session:
        session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {options}")
        for statement in statements:
            session.execute(statement.format(keyspace=keyspace))


def test_a_keyspace_of_before_a_field_existed_gets_it(isolated):
    settings = isolated.settings
    older = "CREATE TYPE {keyspace}.windows_fields (late bigint, closed_by text, mean double, last_offset bigint)"
    make_keyspace(settings, older)
    with closing(migrated(CassandraStore, settings)) as store:
        store.write([Rows(WINDOWS, 0, 1, [WINDOW])])
        assert [row for _, row in store.rows(WINDOWS)] == [WINDOWS.document(settings.kafka.readings, 0, WINDOW)]


def test_cqlsh_shows_a_window_with_names_and_numbers(isolated):
    with closing(migrated(CassandraStore, isolated.settings)) as store, cql(isolated.settings) as session:
        store.write([Rows(WINDOWS, 0, 1, [WINDOW])])
        row = session.execute(f"SELECT series, start, fields FROM {isolated.settings.cassandra.keyspace}.windows").one()
    assert (row.series, row.fields.count, row.fields.mean, row.fields.closed_by) == (WINDOW.series, 5, 1.0, "data")


def test_incidents_are_found_as_the_page_says(isolated, elasticsearch):
    settings, now = isolated.settings, int(time.time() * 1000)
    page = (ROOT / "docs/incidents.md").read_text()
    in_cql = re.search(r"    (SELECT .*?;)", page, re.DOTALL)[1].replace("oda.", f"{settings.cassandra.keyspace}.")
    opened = incident("pump-7", 1732300002123)
    resolved = msgspec.structs.replace(opened, number=1, change="resolved")
    with closing(migrated(CassandraStore, settings)) as store, cql(settings) as session:
        store.write([Rows(INCIDENTS, 0, 1, [resolved, opened])])
        rows = list(session.execute(in_cql))
    assert [(row.number, row.fields_change) for row in rows] == [(0, "opened"), (1, "resolved")]

    in_json = re.findall(r"    GET oda-incidents-\*/_search\n((?:    .*\n)+)", page)
    newest, of_each = (json.loads(question) for question in in_json)
    opened = incident("pump-7", now - 5000, "critical")
    resolved = msgspec.structs.replace(opened, number=1, change="resolved")
    with closing(migrated(ElasticsearchStore, settings)) as store:
        others = [incident("b", now - 9000, offset=8), incident("c", 5, offset=9)]
        store.write([Rows(INCIDENTS, 0, 1, [opened, resolved, *others])])
        assert len(list(store.rows(INCIDENTS))) == 4
    index = f"{settings.elasticsearch.prefix}-incidents-*"
    hits = elasticsearch.search(index=index, **newest)["hits"]["hits"]
    assert [hit["_source"]["series"] for hit in hits] == ["pump-7"]
    buckets = elasticsearch.search(index=index, **of_each)["aggregations"]["incidents"]["buckets"]
    found = [bucket["newest"]["hits"]["hits"][0]["_source"] for bucket in buckets]
    assert {(row["series"], row["change"]) for row in found} == {("pump-7", "resolved"), ("b", "opened")}


def test_a_keyspace_of_before_buckets_is_refused_with_the_way_out(isolated):
    settings = isolated.settings
    former = (
        "CREATE TABLE {keyspace}.windows (series text, day date, start timestamp, partition int, count bigint, "
        "PRIMARY KEY ((series, day), start, partition))"
    )
    make_keyspace(settings, former)
    says = r"of a former version: its table windows has the key \(series, day, start, partition\).*docs/upgrades\.md"
    with pytest.raises(Refused, match=says):
        migrated(CassandraStore, settings)
    create_topics(settings.kafka)
    done = isolated.oda("verify", check=False)
    assert done.returncode == 2
    assert "docs/upgrades.md" in done.stderr


def test_a_keyspace_whose_anomalies_do_not_name_their_detector_is_refused_with_the_way_out(isolated):
    make_keyspace(
        isolated.settings,
        "CREATE TYPE {keyspace}.anomalies_fields (value double)",
        "CREATE TABLE {keyspace}.anomalies (bucket int, slot int, series text, time timestamp, partition int,"
        " offset bigint, fields frozen<{keyspace}.anomalies_fields>,"
        " PRIMARY KEY ((bucket, slot), series, time, partition, offset))",
    )
    with pytest.raises(Refused, match=r"table anomalies has the key .* offset\), .*docs/upgrades\.md"):
        migrated(CassandraStore, isolated.settings)


def test_a_field_that_has_another_type_is_refused(isolated):
    make_keyspace(isolated.settings, "CREATE TYPE {keyspace}.windows_fields (mean float)")
    with pytest.raises(Refused, match=r"in type windows_fields, mean is float, not double.*docs/upgrades\.md"):
        migrated(CassandraStore, isolated.settings)


def test_buckets_are_those_that_the_keyspace_was_made_with(isolated):
    migrated(CassandraStore, isolated.settings, buckets=16).close()
    with pytest.raises(Refused, match=r"crc32\(series\) mod 16.*Set oda\.cassandra\.buckets to what it was"):
        migrated(CassandraStore, isolated.settings)


def test_who_only_reads_changes_nothing(isolated, elasticsearch):
    settings = isolated.settings
    create_topics(settings.kafka)
    assert isolated.oda("verify", check=False).returncode == 2
    with cql(settings) as session:
        assert settings.cassandra.keyspace not in session.cluster.metadata.keyspaces
    names = elasticsearch.indices.get_index_template(name="*")["index_templates"]
    assert not [template for template in names if template["name"].startswith(settings.elasticsearch.prefix)]


def test_what_cassandra_will_never_take_is_refused_in_its_own_words(isolated):
    with closing(migrated(CassandraStore, isolated.settings)) as store:
        with pytest.raises(Refused, match="longer than maximum"):
            store.write([Rows(WINDOWS, 0, 1, [msgspec.structs.replace(WINDOW, series="a" * 70_000)])])
        with cql(isolated.settings) as session:
            session.execute(f"ALTER TABLE {isolated.settings.cassandra.keyspace}.windows DROP fields")
        with pytest.raises(Refused, match="fields"):
            store.write([Rows(WINDOWS, 0, 1, [WINDOW])])


def test_an_index_of_before_a_field_existed_gets_it_and_refreshes_as_the_settings_say(isolated, elasticsearch):
    settings = isolated.settings
    with closing(migrated(ElasticsearchStore, settings)) as store:
        index = f"{settings.elasticsearch.prefix}-windows-1970s"
        fields = {"series": {"type": "keyword"}, "start": {"type": "date"}}
        elasticsearch.indices.delete_index_template(name=f"{settings.elasticsearch.prefix}-windows")
        elasticsearch.indices.create(index=index, mappings={"dynamic": "strict", "properties": fields})
        with pytest.raises(Refused, match="strict_dynamic_mapping_exception"):
            store.write([Rows(WINDOWS, 0, 1, [WINDOW])])
        store.migrate()
        store.write([Rows(WINDOWS, 0, 1, [WINDOW])])
        assert len(list(store.rows(WINDOWS))) == 1
    found = elasticsearch.indices.get_settings(index=index)[index]["settings"]["index"]
    assert found["refresh_interval"] == "5000ms"


def test_a_field_that_has_another_type_in_an_index_is_refused(isolated, elasticsearch):
    index = f"{isolated.settings.elasticsearch.prefix}-windows-1970s"
    elasticsearch.indices.create(index=index, mappings={"properties": {"mean": {"type": "float"}}})
    with pytest.raises(Refused, match=r"field mean is of type float, not double.*docs/upgrades\.md"):
        migrated(ElasticsearchStore, isolated.settings)


def test_what_is_refused_is_shown_at_once_and_goes_on_when_it_is_mended(isolated, elasticsearch):
    """The stream stops there: nothing is left out, as the audit sees in the end."""
    prefix = isolated.settings.elasticsearch.prefix
    walk = ("collect", "walk", "--rate", 0, "--count", 2000, "--spikes", 100, "--start")
    with isolated.topology() as name:
        isolated.oda(*walk, 1_732_300_000_000)
        isolated.verify()
        elasticsearch.indices.put_settings(index=f"{prefix}-*", settings={"index.blocks.write": True})
        isolated.oda(*walk, 1_732_400_000_000)
        wait_until(lambda: "refused" in last_error(isolated, name), "no error in the Storm UI")
        assert "cluster_block_exception" in last_error(isolated, name)
        assert isolated.oda("verify", "--wait", 1, check=False).returncode == 1
        elasticsearch.indices.put_settings(index=f"{prefix}-*", settings={"index.blocks.write": False})
        isolated.verify()


def write(settings, *messages):
    """As the sink does, with a store of its own."""
    with closing(KafkaStore(settings)) as store:
        store.write(
            [Rows(REJECTED if isinstance(message, Rejected) else WINDOWS, 0, 1, [message]) for message in messages]
        )


def test_a_topic_that_takes_no_row_is_named_and_so_is_the_fix(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.windows, max_message_bytes=300)
    with pytest.raises(Refused, match=rf"{settings.kafka.windows} takes no message of more than 300 bytes"):
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
    assert f"topic {settings.kafka.rejected} is compacted" in " ".join(migrated(KafkaStore, settings).notes)
    write(settings, Rejected(7, "not JSON", None, b"{"), Rejected(8, "no value", None, None))
    keys = [record.key for record in written(settings, settings.kafka.rejected)]
    assert keys
    assert set(keys) == {b""}


def test_a_topic_that_wants_more_replicas_than_it_has_is_named(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.anomalies, min_insync_replicas=2)
    with pytest.raises(Refused, match=rf"{settings.kafka.anomalies} takes no message: its min\.insync"):
        migrated(KafkaStore, settings)


def test_topics_made_with_other_numbers_are_noted(isolated):
    settings = isolated.settings
    make_topic(settings, settings.kafka.readings)
    (note,) = migrated(KafkaStore, settings).notes
    assert f"oda.kafka.partitions is 4, and topic {settings.kafka.readings} was made with 1" in note
