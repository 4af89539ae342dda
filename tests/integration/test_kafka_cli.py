"""The Kafka helper, the collectors and the watcher, as a person types them, against a real Kafka."""

import json
import secrets
import signal
import subprocess
import time
from itertools import islice

import pytest
from kafka import KafkaAdminClient

from oda.collect.walk import Walks
from oda.kafka.reader import follow, reader
from oda.kafka.topics import list_topics
from oda.paths import BIN
from support import HANG_SECONDS, HEARS_CTRL_C, wait_until

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
    with reader(settings.kafka, [topic], from_beginning=True) as consumer:
        for _, records in follow(consumer, deadline):
            assert all(record.key.decode() == json.loads(record.value)["series"] for record in records)
            found += [json.loads(record.value) for record in records]
            if len(found) >= expected:
                break
    return found


ORIGIN = {"topic": "readings", "partition": 0, "series": "pump-7", "mean": 3.25, "stddev": 0.5, "count": 200}
WINDOW = ORIGIN | {
    "start": 1732300000000, "end": 1732300002000, "first_offset": 1, "last_offset": 200, "closed_at": 201,
    "closed_by": "data", "late": 0,
}  # fmt: skip


def watched(cluster, results: int) -> tuple[list[str], list[str]]:
    """What `oda watch` prints to stdout and stderr until Ctrl-C, once it has shown so many results."""
    command = [str(BIN / "oda"), "--config", str(cluster.config), "watch", "--from-beginning"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=HEARS_CTRL_C, **pipes) as watch:
        first = [watch.stdout.readline() for _ in range(results)]
        watch.send_signal(signal.SIGINT)
        rest, err = watch.communicate(timeout=HANG_SECONDS)
    return [line.rstrip("\n") for line in first] + rest.splitlines(), err.splitlines()


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
    topic = cluster.settings.kafka.readings
    command = [str(BIN / "oda"), "--config", str(cluster.config), "collect", "walk", "--rate", "50"]
    began = time.time()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=HEARS_CTRL_C, **pipes) as walk:
        wait_until(lambda: topic in list_topics(cluster.settings.kafka), "no topic")
        messages(cluster.settings, topic, 50)
        walk.send_signal(signal.SIGINT)
        out, err = walk.communicate()
    assert (walk.returncode, err) == (130, "")
    acknowledged, of, sent = out.split()[:3]
    assert (acknowledged, of) == (sent, "of")
    readings = messages(cluster.settings, topic, int(sent))
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
    file.write_text("timestamp,value\n1732300000001,1\n" + "1732300000002,?\n" * 12 + "1732300000003,3\n")
    done = cluster.oda("collect", "csv", file, check=False)
    assert (done.returncode, done.stdout) == (1, "2 of 2 readings acknowledged by Kafka\n")
    assert f"{file}:3: left out: '?' is not a number" in done.stderr
    assert done.stderr.count(": left out: ") == 10
    assert f"{file}: 12 lines left out" in done.stderr


def test_a_file_without_a_row_that_is_a_reading_is_no_success(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n2099-01-01 00:00:00,1\n1396310400,2\n")
    done = cluster.oda("collect", "csv", file, check=False)
    assert (done.returncode, done.stdout) == (1, "0 of 0 readings acknowledged by Kafka\n")
    assert f"{file}:2: left out: time 4070908800000 is more than 86400000 ms ahead" in done.stderr
    assert f"{file}:3: left out: time 1396310400 is in January 1970 as epoch ms: seconds?" in done.stderr
    assert cluster.oda("collect", "csv", file, "--time-unit", "s", check=False).stdout.startswith("1 of 1 readings")
    file.write_text("timestamp,value\n")
    assert cluster.oda("collect", "csv", file).stdout == "0 of 0 readings acknowledged by Kafka\n"


def test_rows_with_the_newest_first_are_told(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path, window__size_ms=3_600_000)
    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n" + "".join(f"{1732300000000 - n * 60_000},{n}\n" for n in range(1440)))
    done = cluster.oda("collect", "csv", file)
    assert done.stdout == "1440 of 1440 readings acknowledged by Kafka\n"
    assert done.stderr.startswith("oda: 1413 of 1440 readings come late: ")


def test_a_pause_that_is_cut_short_is_told(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n1970-01-02 00:00:00,1\n2014-04-01 00:00:00,2\n")
    done = cluster.oda("collect", "csv", file, "--speed", 1, "--longest-pause", 1)
    assert done.stdout == "2 of 2 readings acknowledged by Kafka\n"
    cut = "oda: 16160 days, 0:00:00 until the reading of 2014-04-01 00:00:00 is due: cut to --longest-pause"
    assert done.stderr.splitlines()[0] == cut


@pytest.mark.parametrize("source", ["walk", "csv"])
def test_a_topic_that_is_deleted_under_way_ends_it_with_what_was_acknowledged(cluster, tmp_path, source):
    cluster = cluster.isolated(tmp_path)
    topic = cluster.settings.kafka.readings
    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n" + "".join(f"{1732300000000 + n * 100},{n}\n" for n in range(100_000)))
    arguments = {"walk": ["walk", "--rate", "10"], "csv": ["csv", str(file), "--speed", "1"]}[source]
    command = [str(BIN / "oda"), "--config", str(cluster.config), "collect", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as collector:
        wait_until(lambda: topic in list_topics(cluster.settings.kafka), "no topic")
        messages(cluster.settings, topic, 10)
        admin = KafkaAdminClient(bootstrap_servers=cluster.settings.kafka.brokers)
        admin.delete_topics([topic])
        admin.close()
        out, err = collector.communicate(timeout=HANG_SECONDS)
    acknowledged, of, sent = out.split()[:3]
    assert (collector.returncode, of) == (2, "of")
    assert 10 <= int(acknowledged) < int(sent)
    assert f"the topic {topic} is not there any more: of {sent} messages Kafka at oda.kafka.brokers = " in err
    assert "Traceback" not in err


def test_a_reading_that_is_produced_is_keyed_by_its_series(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    topic = cluster.settings.kafka.readings
    cluster.oda("collect", "stdin", "--spool", tmp_path / "spool", input="")  # makes the topics
    lines = [json.dumps({"series": f"pump-{n % 3}", "time": 2**43 - 1, "value": n}) for n in range(300)]
    cluster.oda("produce", "--topic", topic, input="\n".join(lines))
    assert len(messages(cluster.settings, topic, 300)) == 300  # it looks at the keys
    cluster.oda("produce", "--topic", topic, input='no reading\n{"series": 7}\n')


def test_watch_tells_what_is_not_as_it_seems(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path, kafka__partitions=1)
    rows = [
        WINDOW | {"series": "taxi", "partition": 0, "start": n * 1_800_000, "count": 1, "first_offset": n}
        for n in range(5)
    ] + [WINDOW | {"partition": n, "start": 0, "count": 1, "first_offset": 100} for n in (2, 3)]
    cluster.oda("watch", "--seconds", 0)  # makes the topics
    cluster.oda("produce", "--topic", cluster.settings.kafka.windows, input="\n".join(map(json.dumps, rows)))
    out, err = watched(cluster, results=7)
    assert out[7:] == ["7 windows, 0 anomalies"]
    assert sorted(line.partition(":")[0] for line in err) == ["pump-7", "taxi"]
    assert any("One comes every 1800 s" in line for line in err)
    assert any("partitions 2 and 3" in line for line in err)


def test_watch_shows_each_result_once(cluster, tmp_path):
    cluster = cluster.isolated(tmp_path)
    anomaly = ORIGIN | {
        "time": 1732300002123, "offset": 9, "value": 9.25, "window_start": 1732300000000, "detector": "sigma/1",
        "score": 100.0, "expected": 3.25, "low": 1.25, "high": 5.25, "found_at": 9, "rules": 0,
    }  # fmt: skip
    cluster.oda("watch", "--seconds", 0)  # makes the topics
    for topic, result in ((cluster.settings.kafka.windows, WINDOW), (cluster.settings.kafka.anomalies, anomaly)):
        cluster.oda("produce", "--topic", topic, input=f"{json.dumps(result)}\n" * 3)
    shown, _ = watched(cluster, results=2)
    assert sorted(shown[:2]) == [
        "2024-11-22 18:26:40.000  pump-7  200 readings  average 3.25  stddev 0.5",
        "2024-11-22 18:26:42.123  pump-7  ANOMALY 9.25, expected 3.25 (1.25 to 5.25): score 100 by sigma/1",
    ]
    assert shown[2:] == ["1 windows, 1 anomalies"]
