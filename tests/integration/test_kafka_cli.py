"""The Kafka helper, the collectors and the watcher, as a person types them, against a real Kafka."""

import functools
import json
import secrets
import signal
import subprocess
import time
from itertools import islice

import pytest

from oda.collect.walk import Walks
from oda.kafka import consumer
from oda.topology import BIN
from support import HANG_SECONDS

LINES = [f"line {number}: {'ä' * number}\t " for number in range(42)]


@pytest.fixture
def topic(cluster) -> str:
    name = "test-" + secrets.token_hex(4)
    cluster.oda("topics", "--create", "--topic", name, "--replication-factor", 1, "--partitions", 1)
    return name


def messages(settings, topic: str, expected: int) -> list[dict]:
    """What is in a topic, once there are as many as expected."""
    found: list[dict] = []
    deadline = time.monotonic() + HANG_SECONDS
    with consumer(settings.kafka, [topic], from_beginning=True) as client:
        while len(found) < expected and time.monotonic() < deadline:
            for records in client.poll(timeout_ms=500).values():
                assert all(record.key.decode() == json.loads(record.value)["series"] for record in records)
                found += [json.loads(record.value) for record in records]
    return found


def test_42_lines_in_the_same_42_out(cluster, topic):
    text = "\n".join(LINES) + "\n"
    cluster.oda("produce", "--topic", topic, input=text)
    assert cluster.oda("consume", "--topic", topic, "--from-beginning", "--max-messages", 42).stdout == text
    assert topic in cluster.oda("topics", "--list").stdout.splitlines()


def test_without_from_beginning_only_what_is_new(cluster, topic):
    cluster.oda("produce", "--topic", topic, input="old\n")
    command = [str(BIN / "oda"), "--config", str(cluster.config), "consume", "--topic", topic, "--max-messages", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None:
            cluster.oda("produce", "--topic", topic, input="new\n")
        assert waiting.stdout.read() == "new\n"


def test_mistakes_are_one_line_without_a_traceback(cluster, topic):
    for arguments, said in (
        (["topics", "--create", "--topic", topic], "already exists"),
        (["topics", "--create", "--topic", topic + "x", "--replication-factor", 99], "replication factor of 99"),
        (["topics"], "--create or --list"),
        (["consume", "--topic", topic + "x"], f"--create --topic {topic}x"),
        (["produce", "--topic", topic + "x"], f"--create --topic {topic}x"),
    ):
        done = cluster.oda(*arguments, check=False, input="")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr


def test_a_walk_is_in_kafka_as_its_seed_says_and_in_order(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    walk = ["collect", "walk", "--rate", 0, "--count", 3000, "--series", 3, "--seed", 1, "--spikes", 100]
    done = cluster.oda(*walk, "--start", "2024-11-22T18:26:40Z")
    assert done.stdout == "3000 of 3000 readings acknowledged by Kafka\n"
    found = messages(cluster.settings, cluster.settings.kafka.readings, 3000)
    walks = Walks(series=3, start=1732300000000, interval=10 / 3, seed=1, spikes=100)
    for name in ("walk-0", "walk-1", "walk-2"):
        expected = [reading._asdict() for reading in islice(walks.readings(), 3000) if reading.series == name]
        assert [reading for reading in found if reading["series"] == name] == expected


def test_a_live_walk_ends_cleanly_at_ctrl_c(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    command = [str(BIN / "oda"), "--config", str(cluster.config), "collect", "walk", "--rate", "50"]
    began = time.time()
    # A shell that runs the tests in the background has made them, and so the walk, deaf to Ctrl-C.
    hears = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=hears, **pipes) as walk:
        time.sleep(6)
        walk.send_signal(signal.SIGINT)
        out, err = walk.communicate()
    assert (walk.returncode, err) == (130, "")
    acknowledged, of, sent = out.split()[:3]
    assert (acknowledged, of) == (sent, "of")
    readings = messages(cluster.settings, cluster.settings.kafka.readings, int(sent))
    assert len(readings) == int(sent) >= 50
    assert all(began * 1000 <= reading["time"] <= time.time() * 1000 for reading in readings)


def test_a_file_of_real_data(cluster, tmp_path, nab):
    cluster = cluster.isolated(tmp_path)
    done = cluster.oda("collect", "csv", nab / "realKnownCause" / "nyc_taxi.csv")
    assert (done.stdout, done.stderr) == ("10320 of 10320 readings acknowledged by Kafka\n", "")
    readings = messages(cluster.settings, cluster.settings.kafka.readings, 10320)
    assert readings[0] == {"series": "nyc_taxi", "time": 1404172800000, "value": 10844.0}


def test_bad_rows_are_reported_and_the_rest_is_kept(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n1,1\n" + "2,?\n" * 12 + "3,3\n")
    done = cluster.oda("collect", "csv", file)
    assert done.stdout == "2 of 2 readings acknowledged by Kafka\n"
    assert f"{file}:3: left out: '?' is not a number" in done.stderr
    assert done.stderr.count(": left out: ") == 10
    assert f"{file}: 12 rows left out" in done.stderr


def test_watch_shows_each_result_once(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    place = {"topic": "readings", "partition": 0, "series": "pump-7", "mean": 3.25, "stddev": 0.5, "count": 200}
    window = place | {"start": 1732300000000, "first_offset": 1}
    anomaly = place | {"time": 1732300002123, "offset": 9, "value": 9.25}
    cluster.oda("watch", "--seconds", 0)  # makes the topics
    for topic, result in ((cluster.settings.kafka.windows, window), (cluster.settings.kafka.anomalies, anomaly)):
        cluster.oda("produce", "--topic", topic, input=f"{json.dumps(result)}\n" * 3)
    shown = cluster.oda("watch", "--from-beginning", "--seconds", 5).stdout.splitlines()
    assert sorted(shown[:2]) == [
        "2024-11-22 18:26:40.000  pump-7  200 readings  average 3.25  stddev 0.5",
        "2024-11-22 18:26:42.123  pump-7  ANOMALY 9.25: 12.0 sigmas from 3.25 ± 0.5",
    ]
    assert shown[2:] == ["1 windows, 1 anomalies"]
