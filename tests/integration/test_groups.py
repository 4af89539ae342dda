"""Groups from end to end: rules, members through Kafka, readings of groups in every store, audited; workers die."""

import json
import os
import signal
import time

import psutil
from kafka import KafkaProducer

from oda.core.kinds import WINDOWS
from oda.stores.cassandra import CassandraStore
from support import wait_until

RULES = """rules: []
groups:
  - {name: "{site}/power", members: "site/{site}/pump-*", aggregate: mean, window: {size: 2s, lateness: 3s}}
  - {name: all, members: "group:*/power", aggregate: sum, window: {size: 4s, lateness: 15s}}
"""
SERIES = [f"site/{site}/pump-{number}" for site in ("berlin", "oslo") for number in range(20)]


def send(stream, seconds: int) -> None:
    """Readings of all series, as many seconds as they take."""
    kafka = stream.settings.kafka
    producer = KafkaProducer(bootstrap_servers=kafka.brokers)
    for second in range(seconds):
        now = int(time.time() * 1000)
        for number, series in enumerate(SERIES):
            reading = {"series": series, "time": now, "value": number + second}
            producer.send(kafka.readings, json.dumps(reading).encode(), key=series.encode())
        producer.flush()
        if second == seconds // 2:
            kill_a_component()
        time.sleep(1)
    producer.close()


def kill_a_component() -> None:
    """Of the groups' spout or bolt, whichever comes first."""
    for process in psutil.process_iter(["cmdline"]):
        if any("bolts.groups" in part for part in process.info["cmdline"] or ()):
            os.kill(process.pid, signal.SIGKILL)
            return


def windows(stream, series: str) -> list:
    store = CassandraStore(stream.settings)
    try:
        now = int(time.time() * 1000)
        return list(store.recent(WINDOWS, series, now - 600_000, now + 1))
    finally:
        store.close()


def test_a_group_is_a_series_whatever_dies(stream, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    stream.oda("rules", "apply", rules)
    send(stream, 20)
    for series in ("group:berlin/power", "group:oslo/power", "group:all"):
        wait_until(lambda series=series: len(windows(stream, series)) >= 3, f"no windows of {series}")
    stream.verify()
