"""Groups from end to end: rules, members through Kafka, readings of groups in every store, audited; processes die."""

import json
import time
from contextlib import suppress

import psutil
from kafka import KafkaProducer

from oda.chaos.system import SCRIPTS
from oda.cluster import processes
from oda.cluster.layout import load_layout
from oda.core.kinds import WINDOWS
from oda.kafka.reader import read_to_end, reader
from oda.stores.cassandra import CassandraStore
from support import wait_until

RULES = """rules: []
groups:
  - {name: "{site}/power", members: "site/{site}/pump-*", aggregate: mean, window: {size: 2s, lateness: 3s}}
  - {name: all, members: "group:*/power", aggregate: sum, window: {size: 4s, lateness: 15s}}
"""
JUDGED = """rules:
  - {series: "group:*", window: {size: 4s, lateness: 0s}, detectors: [{use: sigma, sigmas: 4}]}
groups:
  - {name: "{site}/power", members: "site/{site}/pump-*", aggregate: mean, window: {size: 1s, lateness: 3s}}
"""
SERIES = [f"site/{site}/pump-{number}" for site in ("berlin", "oslo") for number in range(20)]
GROUPS = ("group:berlin/power", "group:oslo/power", "group:all")


def send(stream, seconds: int, spike: str | None = None) -> None:
    """A reading of each series every second; the last of one is far too high."""
    kafka = stream.settings.kafka
    producer = KafkaProducer(bootstrap_servers=kafka.brokers)
    for second in range(seconds):
        now = int(time.time() * 1000)
        for number, series in enumerate(SERIES):
            value = 1e6 if series == spike and second == seconds - 1 else number + second % 3
            reading = {"series": series, "time": now, "value": value}
            producer.send(kafka.readings, json.dumps(reading).encode(), key=series.encode())
        producer.flush()
        time.sleep(1)
    producer.close()


def kill(stream, component: str) -> None:
    """The process of a component of this topology, as soon as there is one: another's death ends its worker, too."""
    wait_until(lambda: running(stream, component), f"no process of {component}")[0].kill()


def running(stream, component: str) -> list[psutil.Process]:
    name, found = stream.settings.kafka.group, []
    for family in processes.find(load_layout(stream.config, stream.env).data).values():
        for process in family:
            with suppress(psutil.Error):
                command = " ".join(process.cmdline())
                if "streamparse_run" in command and SCRIPTS[component] in command and f"/{name}-" in process.cwd():
                    found.append(process)
    return found


def wait_for_windows(stream) -> None:
    stream.verify()  # what is drained has tables
    for series in GROUPS:
        wait_until(lambda series=series: windows(stream, series) >= 3, f"no windows of {series}")


def windows(stream, series: str) -> int:
    store = CassandraStore(stream.settings)
    try:
        now = int(time.time() * 1000)
        return len(list(store.recent(WINDOWS, series, now - 600_000, now + 1)))
    finally:
        store.close()


def test_a_group_is_a_series_whatever_dies(stream, tmp_path):
    apply(stream, tmp_path)
    send(stream, 8)
    kill(stream, "groups")
    send(stream, 6)
    kill(stream, "members")
    send(stream, 8)
    wait_for_windows(stream)
    stream.verify()


def test_what_a_topology_without_groups_told_of_members_is_there_for_one_with_them(cluster, tmp_path):
    without = cluster.isolated(tmp_path, parallelism__groups=0)
    with without.topology() as name:
        apply(without, tmp_path)
        send(without, 16)
        without.verify()
        assert [windows(without, series) for series in GROUPS] == [0, 0, 0]
    with without.storm.running(name, "oda.parallelism.groups=1"):
        wait_for_windows(without)
        without.verify()


def test_why_a_group_is_anomalous_is_who_moved_it(stream, tmp_path):
    apply(stream, tmp_path, JUDGED)
    send(stream, 12, spike="site/oslo/pump-3")

    def found() -> list[dict]:
        rows = [row for row in results(stream, "anomalies") if row["series"] == "group:oslo/power"]
        return sorted((row for row in rows if row["value"] > 1e4), key=lambda row: row["value"])

    worst = wait_until(found, "the group is not anomalous")[-1]
    stream.verify()
    why = stream.oda("why", worst["series"], worst["time"], "--offset", worst["offset"]).stdout
    assert why.count("equal to the last bit") == 2
    moved = why.partition("moved most")[2].splitlines()[1]
    assert "site/oslo/pump-3: mean" in moved


def results(stream, kind: str) -> list[dict]:
    with reader(stream.settings.kafka, [getattr(stream.settings.kafka, kind)], from_beginning=True) as consumer:
        return [json.loads(record.value) for _, records in read_to_end(consumer) for record in records]


def apply(stream, folder, text: str = RULES) -> None:
    rules = folder / "rules.yaml"
    rules.write_text(text)
    stream.oda("rules", "apply", rules)
