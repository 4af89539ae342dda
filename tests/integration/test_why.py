"""`oda why` on a system that runs: what the stores hold is recomputed to the last bit."""

import json

from oda.core.kinds import KINDS
from oda.kafka.reader import read_to_end, reader
from oda.stores.session import open_session

RULES = """
rules:
  - series: "walk-[01]"
    detectors: [{use: student, sigmas: 5}]
  - series: "*"
    detectors: [{use: robust, sigmas: 5}, {use: d1}]
"""


def anomalies(settings) -> list[dict]:
    with reader(settings.kafka, [settings.kafka.anomalies], from_beginning=True) as consumer:
        messages = [json.loads(record.value) for _, records in read_to_end(consumer) for record in records]
    return list({KINDS["anomalies"].place(row): row for row in messages}.values())


def walk(stream, count: int, seed: int) -> None:
    stream.oda("collect", "walk", "--series", 4, "--rate", 400, "--count", count, "--spikes", 100, "--seed", seed)
    stream.verify()


def test_anomalies_are_recomputed_from_the_archive_whatever_rules_made_them(stream, tmp_path):
    walk(stream, 4000, seed=1)
    (tmp_path / "rules.yaml").write_text(RULES)
    stream.oda("rules", "apply", tmp_path / "rules.yaml")
    walk(stream, 8000, seed=2)
    newest = {row["detector"] + str(row["rules"]): row for row in anomalies(stream.settings)}
    assert {row["detector"] for row in newest.values()} >= {"sigma/1", "student/1", "robust/1"}
    for row in newest.values():
        done = stream.oda("why", row["series"], row["time"], "--offset", row["offset"])
        assert "equal to the last bit" in done.stdout
        assert f"offset {row['offset']}, found at {row['found_at']}" in done.stdout

    session = open_session(stream.settings.cassandra)
    session.execute(f"TRUNCATE {stream.settings.cassandra.keyspace}.readings")
    session.cluster.shutdown()
    done = stream.oda("why", row["series"], row["time"], "--offset", row["offset"], check=False)
    assert done.returncode == 1
    assert "can't be found again" in done.stdout
    done = stream.oda("why", row["series"], "1980-01-01", check=False)
    assert done.returncode == 2
    assert "has no anomaly of" in done.stderr
