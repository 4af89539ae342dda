"""The topic of readings is deleted and made anew under its name: noticed wherever it matters, with a way out."""

from contextlib import closing

from kafka import KafkaAdminClient

from oda.audit.sources import Log
from oda.core.kinds import WINDOWS
from oda.kafka.topics import create_topics
from oda.stores.cassandra import CassandraStore
from support import Cluster, wait_until
from test_upgrade import errors, started_anew, submit_over


def make_anew(cluster: Cluster) -> None:
    kafka = cluster.settings.kafka
    with closing(KafkaAdminClient(bootstrap_servers=kafka.brokers)) as admin:
        admin.delete_topics([kafka.readings])
        wait_until(lambda: kafka.readings not in admin.list_topics(), "the topic is not deleted")
    create_topics(kafka)


def walk(cluster: Cluster, first: int, count: int) -> None:
    """From the reading of that number on: none is late, however soon it comes after those before it."""
    start = 1_732_300_000_000 + first * 10 // 8
    cluster.oda("collect", "walk", "--series", 8, "--rate", 0, "--count", count, "--start", start)


def stored(cluster: Cluster) -> tuple[int, set]:
    """How many readings the windows have, and all rows of windows and readings."""
    with closing(CassandraStore(cluster.settings)) as online:
        windows = [row for _, row in online.rows(WINDOWS)]
        readings = {(row.series, row.partition, row.first_offset, row.last_offset) for row in online.readings()}
    return sum(row["count"] for row in windows), readings | {tuple(row.items()) for row in windows}


def wait_until_refused(cluster: Cluster, topology: str) -> None:
    def is_told() -> bool:
        found = errors(cluster, topology, "readings")
        # It may be found gone before it is there again; that a process died would be another error.
        assert all("topic" in error and "docs/upgrades.md" in error for error in found), found
        return any("was deleted and made again since" in error for error in found)

    wait_until(is_told, "no error in the Storm UI")


def assert_nothing_was_mixed(cluster: Cluster, before: tuple[int, set]) -> None:
    done = cluster.oda("verify", "--wait", 1, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    assert "was deleted and made again since" in done.stderr
    assert "Start anew beside them: docs/upgrades.md" in done.stderr
    with closing(Log(cluster.settings.kafka)) as log:
        assert set(log.positions().committed.values()) == {0}
    assert stored(cluster) == before


def test_a_topic_that_is_made_anew_is_refused_and_starting_anew_is_a_way_out(cluster, tmp_path):
    stream = cluster.isolated(tmp_path)
    create_topics(stream.settings.kafka)
    with stream.topology() as name:
        walk(stream, 0, 4000)
        stream.verify()
        wait_until(lambda: stored(stream)[0] == 4000, "the clock has not closed all windows")
        stream.verify()  # the clock's records are committed, too: a commit on its way would reach the new topic
        before = stored(stream)
        make_anew(stream)
        walk(stream, 0, 40)
        wait_until_refused(stream, name)
        walk(stream, 40, 760)
        assert_nothing_was_mixed(stream, before)
    walk(stream, 800, 7200)  # beyond where the old one was left in each partition
    with stream.topology() as name:
        wait_until_refused(stream, name)
        assert_nothing_was_mixed(stream, before)
        anew = started_anew(stream)
        submit_over(anew, name)
        anew.verify()
        wait_until(lambda: stored(anew)[0] == 8000, "not all that is in the new topic is computed")
    assert stored(stream) == before
