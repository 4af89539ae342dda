"""The main job on real servers: walk in, windows and anomalies out, and the audit finds no difference."""

import itertools
import json
import subprocess

import pytest
from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError

from malformed import HARD, LARGE, MALFORMED, NAMES
from oda.core.reading import Reading, encode
from oda.kafka.reader import read_to_end, reader
from oda.paths import BIN, ROOT
from support import ENV, HANG_SECONDS, wait_until


def messages(settings, topic):
    """Everything that is in a topic now."""
    with reader(settings.kafka, [topic], from_beginning=True) as consumer:
        return [record for _, records in read_to_end(consumer) for record in records]


def test_a_random_walk_with_spikes(stream):
    stream.oda("collect", "walk", "--series", 5, "--rate", 500, "--count", 5000, "--spikes", 200, "--seed", 1)
    stream.verify()
    settings = stream.settings
    anomalies = [json.loads(message.value) for message in messages(settings, settings.kafka.anomalies)]
    spikes = {row["offset"] for row in anomalies if abs(row["value"] - row["mean"]) > 500}
    assert spikes, "not one spike was found"
    command = [BIN / "oda", "--config", stream.config, "watch", "--from-beginning"]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, text=True) as watch:
        missing = {"ANOMALY", "average"}
        while missing:
            line = next(watch.stdout)
            missing = {word for word in missing if word not in line}
        watch.terminate()


def test_malformed_messages_are_found_again_and_stop_nothing(stream):
    settings = stream.settings
    producer = KafkaProducer(bootstrap_servers=settings.kafka.brokers)
    sent = {}
    for name, (value, _) in MALFORMED.items():
        metadata = producer.send(settings.kafka.readings, value, key=name.encode()).get(HANG_SECONDS)
        sent[metadata.partition, metadata.offset] = name
        good = {"series": f"beside {name}", "time": 1_700_000_000_000, "value": 1}
        producer.send(settings.kafka.readings, json.dumps(good).encode(), key=name.encode())
    for series, time, value in itertools.chain(*HARD.values()):
        producer.send(settings.kafka.readings, encode(Reading(series, time, value)), key=series.encode())
    producer.send(settings.kafka.readings, LARGE, key=b"large")
    producer.close()
    stream.verify()
    for topic in (settings.kafka.windows, settings.kafka.anomalies):
        assert {json.loads(message.value)["series"] for message in messages(settings, topic)} >= {
            *NAMES,
            "a month apart",
        }
    found = {}
    for message in messages(settings, settings.kafka.rejected):
        headers = {name: value.decode() for name, value in message.headers}
        place = int(headers["oda.partition"]), int(headers["oda.offset"])
        assert headers["oda.topic"] == settings.kafka.readings
        found[sent[place]] = (message, headers["oda.reason"])
    assert found.keys() == MALFORMED.keys()
    for name, (value, reason) in MALFORMED.items():
        message, given = found[name]
        assert (message.key, message.value) == (name.encode(), value)
        assert reason in given


def test_a_time_centuries_ahead_can_not_hide_behind_a_record_timestamp_of_then(stream):
    settings = stream.settings
    ahead = 2**43 - 1
    with KafkaProducer(bootstrap_servers=settings.kafka.brokers) as producer:
        reading = json.dumps({"series": "a", "time": ahead, "value": 1}).encode()
        producer.send(settings.kafka.readings, reading, key=b"hidden", timestamp_ms=ahead).get(HANG_SECONDS)
    stream.verify()
    found = next(message for message in messages(settings, settings.kafka.rejected) if message.key == b"hidden")
    reason = dict(found.headers)["oda.reason"].decode()
    assert f"time {ahead} is more than 86400000 ms ahead of " in reason
    assert reason.endswith(", when it came")


def test_the_storm_ui_shows_the_components_and_streams_and_no_error(stream):
    found = stream.storm.api.topology_id(stream.settings.kafka.group)
    topology = stream.storm.api.ask(f"topology/{found}")
    components = {row["spoutId"]: row for row in topology["spouts"]} | {row["boltId"]: row for row in topology["bolts"]}
    assert components.keys() >= {"readings", "windows", "anomalies", "cassandra", "elasticsearch", "kafka"}
    assert {name: row["lastError"] for name, row in components.items() if row["lastError"]} == {}
    assert "readings" in stream.storm.api.ask(f"topology/{found}/visualization")
    wanted = {"readings": {"readings", "rejected"}, "windows": {"windows", "closings"}, "anomalies": {"anomalies"}}
    for name, streams in wanted.items():  # the UI learns of a stream with the executors' first report
        wait_until(lambda name=name, streams=streams: streams <= streams_of(stream, found, name), f"no {streams}")


def streams_of(stream, topology, component):
    answer = stream.storm.api.ask(f"topology/{topology}/component/{component}")
    return {output["stream"] for output in answer["outputStats"]}


def test_sparse_list_and_stats(stream):
    name = stream.settings.kafka.group
    rows = [line.split("|") for line in stream.storm.sparse("list").splitlines() if line.startswith("|")]
    assert name in "".join(row[2].strip() for row in rows)  # sparse folds a narrow column
    assert "windows" in stream.storm.sparse("stats", "-n", name)


def test_a_recorded_file_with_windows_of_a_day(cluster, tmp_path, nab):
    recorded = cluster.isolated(tmp_path, window__size_ms=86_400_000)
    with recorded.topology():
        for path in ("realKnownCause/machine_temperature_system_failure.csv", "realTraffic/speed_7578.csv"):
            recorded.oda("collect", "csv", nab / path)
        recorded.verify()
        settings = recorded.settings
        labelled = json.loads((nab / "windows.json").read_text())
        anomalies = [json.loads(message.value) for message in messages(settings, settings.kafka.anomalies)]
        assert {row["series"] for row in anomalies} >= {"machine_temperature_system_failure"}
        assert labelled


def compressing(settings, codec):
    """A producer whose requests are bounded after compression only, as other clients' are."""
    huge = 2**26
    return KafkaProducer(
        bootstrap_servers=settings.kafka.brokers,
        compression_type=codec,
        linger_ms=500,
        batch_size=huge,
        max_request_size=huge,
    )


def test_sparse_run_runs_the_topology_in_one_process_whatever_the_topic_was_compressed_with(cluster, tmp_path):
    local = cluster.isolated(tmp_path)
    topic = local.settings.kafka.readings
    local.oda("topics", "--create", "--topic", topic, "--partitions", 4)
    local.oda("collect", "walk", "--rate", 0, "--series", 3, "--count", 3000, "--seed", 2)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        with compressing(local.settings, codec) as producer:
            for time in range(1000, 9000, 500):
                producer.send(topic, json.dumps({"series": codec, "time": time, "value": 1}).encode(), partition=0)
            for _ in range(
                8
            ):  # one batch of a few kB, which are 16 MB of malformed messages, each beyond Kafka's 1 MiB
                producer.send(topic, b"x" * 2**21, partition=1)
    with local.in_one_process():
        local.verify()
    assert len(messages(local.settings, local.settings.kafka.rejected)) >= 4 * 8


def test_what_is_small_only_while_it_is_compressed_is_refused_to_its_producer(stream):
    with compressing(stream.settings, "gzip") as producer:
        sent = producer.send(stream.settings.kafka.readings, b"x" * 2**21)
        with pytest.raises(MessageSizeTooLargeError):
            sent.get(HANG_SECONDS)
