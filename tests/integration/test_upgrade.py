"""Upgrades: what continues, what is refused, and the way out that docs/upgrades.md gives."""

import csv
import json
import subprocess
from contextlib import closing, contextmanager
from itertools import islice

import msgspec
import pytest

from oda.audit.sources import Log, Positions
from oda.collect.walk import Walks
from oda.core import snapshot
from oda.core.kinds import WINDOWS
from oda.kafka.topics import create_topics
from oda.paths import BIN, ROOT
from oda.stores.cassandra import CassandraStore
from oda.stores.snapshots import SnapshotStore
from oda.storm.sparse import building
from oda.storm.topologies import TOPOLOGY
from support import ENV, Cluster, wait_until

HOUR_MS = 3_600_000
START = 1_732_300_000_000 // HOUR_MS * HOUR_MS


def csv_of_a_walk(path, start: int, count: int):
    """A walk with spikes, 200 readings a second, in a file that `oda collect csv` replays."""
    walk = Walks(series=4, start=start, interval=5.0, seed=start, spikes=100)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["series", "timestamp", "value"])
        rows.writerows((reading.series, reading.time, reading.value) for reading in islice(walk.readings(), count))
    return path


def collect(cluster: Cluster, path) -> None:
    cluster.oda("collect", "csv", path, "--series-column", "series")


@contextmanager
def collecting(cluster: Cluster, path):
    """Replay a file at the pace of its times; it is longer than needed."""
    command = [BIN / "oda", "--config", cluster.config, "collect", "csv", path, "--series-column", "series"]
    with subprocess.Popen([*command, "--speed", "1"], cwd=ROOT, env=ENV) as collector:
        try:
            yield
            assert collector.poll() is None, "the collector ended by itself"
        finally:
            collector.terminate()


def submit_over(cluster: Cluster, name: str, *options: str) -> None:
    """As docs/upgrades.md says; and wait for its worker."""
    former = cluster.storm.api.topology_id(name)
    with building():
        cluster.storm.sparse("submit", "--force", "--wait", "1", "-n", TOPOLOGY, "-N", name, *options)
    found = cluster.storm.api.topology_id(name)
    assert found not in (former, None)
    wait_until(lambda: cluster.storm.api.ask(f"topology/{found}")["workers"], "no worker")


@pytest.fixture
def stream(cluster, tmp_path) -> Cluster:
    """Topics, tables and indices of its own, and windows of an hour."""
    isolated = cluster.isolated(tmp_path, window__size_ms=HOUR_MS)
    create_topics(isolated.settings.kafka)
    return isolated


@pytest.fixture
def log(stream):
    with closing(Log(stream.settings.kafka)) as log:
        yield log


def has_come_on(positions: Positions) -> bool:
    """In each partition that has readings, beyond the first of each of its series."""
    begun = [positions.committed[partition] for partition, end in positions.ends.items() if end]
    return bool(begun) and min(begun) > 100


def test_a_new_version_goes_on_from_the_snapshots_of_the_old_one(stream, log, tmp_path):
    with stream.topology() as name:
        with collecting(stream, csv_of_a_walk(tmp_path / "a.csv", START, 400_000)):
            wait_until(lambda: has_come_on(log.positions()), "nothing committed")
            before = log.positions()
            submit_over(stream, name, "-o", "oda.parallelism.windows=2", "-o", "oda.parallelism.cassandra=2")
            after = log.positions()
            wait_until(lambda: not log.positions().behind(after.ends), "the new version commits nothing")
        # The next hour closes the windows of this one, and has spikes to be judged by them.
        collect(stream, csv_of_a_walk(tmp_path / "b.csv", START + HOUR_MS, 2000))
        stream.verify()
    with closing(CassandraStore(stream.settings)) as online:
        windows = [row for _, row in online.rows(WINDOWS)]
    # The new version read nothing before the committed offsets: what it knew of that was in the snapshots.
    spanning = {
        row["series"]
        for row in windows
        if row["first_offset"] < before.committed[row["partition"]]
        and row["last_offset"] >= after.ends[row["partition"]]
    }
    assert spanning == {"walk-0", "walk-1", "walk-2", "walk-3"}


def test_a_snapshot_of_an_unknown_format_is_refused_and_starting_anew_is_a_way_out(stream, log, tmp_path):
    collect(stream, csv_of_a_walk(tmp_path / "a.csv", START, 2000))
    store = SnapshotStore(stream.settings, "windows")
    from_the_future = msgspec.msgpack.encode([99, {"what": "nobody knows"}])
    for partition in log.positions().ends:
        assert store.load(partition) == []
        store.save(partition, 1, from_the_future, True)
    with stream.topology() as name:
        wait_until(lambda: len(errors(stream, name)) > 1, "no error in the Storm UI")
        for error in errors(stream, name):  # none that a process has died, in particular
            assert f"the snapshot has format 99, this program reads {snapshot.FORMAT}" in error
            assert "docs/upgrades.md" in error
        assert set(log.positions().committed.values()) == {0}
        assert all(store.load(partition) == [from_the_future] for partition in log.positions().ends)
        anew = started_anew(stream)
        submit_over(anew, name)
        anew.verify()


def errors(stream: Cluster, name: str, component: str = "windows") -> list[str]:
    """What the Storm UI shows of a component."""
    found = stream.storm.api.topology_id(name)
    return [row["error"] for row in stream.storm.api.ask(f"topology/{found}/component/{component}")["componentErrors"]]


def started_anew(stream: Cluster) -> Cluster:
    """The settings that docs/upgrades.md says to change."""
    content = json.loads(stream.config.read_text())
    options = content["envs"][stream.env]["options"]
    for option in (
        "oda.kafka.group",
        "oda.kafka.windows",
        "oda.kafka.anomalies",
        "oda.kafka.incidents",
        "oda.kafka.rejected",
        "oda.cassandra.keyspace",
        "oda.elasticsearch.prefix",
    ):
        options[option] += "v2"
    path = stream.config.with_name("anew.json")
    path.write_text(json.dumps(content))
    return Cluster(path, stream.env)
