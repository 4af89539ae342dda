"""Snapshots in Cassandra: a partition has one owner, the newest that loaded it."""

import pytest

from oda.stores.snapshots import CHUNK_BYTES, FencedError, SnapshotStore

LARGE = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"and a part of a chunk"


@pytest.fixture(scope="module")
def settings(cluster, tmp_path_factory):
    return cluster.isolated(tmp_path_factory.mktemp("snapshots")).settings


def test_who_loads_last_can_save_and_who_loaded_before_can_not(settings):
    first, second = SnapshotStore(settings, "windows"), SnapshotStore(settings, "windows")
    assert (first.load(0), second.load(0)) == ([], [])
    with pytest.raises(FencedError, match="is another topology running"):
        first.save(0, 1, b"zombie", True)
    second.save(0, 1, b"successor", True)
    assert first.load(0) == [b"successor"]
    with pytest.raises(FencedError):
        second.save(0, 2, b"zombie", True)
    first.save(0, 2, LARGE, True)
    assert second.load(0) == [LARGE]


def test_what_is_repeated_because_its_answer_got_lost_changes_nothing(settings):
    store = SnapshotStore(settings, "windows")
    assert (store.load(1), store.load(1)) == ([], [])
    store.save(1, 1, b"one", True)
    before = dict(store._heads)
    store.save(1, 2, b"two", True)
    store._heads = before  # as if it had not heard that it was done
    store.save(1, 2, b"two", True)
    store.save(1, 3, b"three", True)
    assert SnapshotStore(settings, "windows").load(1) == [b"three"]


def test_no_chunk_is_left_of_what_was_replaced_or_refused(settings):
    first, second = SnapshotStore(settings, "windows"), SnapshotStore(settings, "windows")
    first.load(2)
    first.save(2, 1, LARGE, True)
    second.load(2)
    with pytest.raises(FencedError):
        first.save(2, 2, LARGE, True)
    second.save(2, 2, b"small", True)
    rows = second._session.execute(f"SELECT * FROM {settings.cassandra.keyspace}.snapshot_chunks")
    assert [(row.version, row.data) for row in rows if row.partition == 2] == [(2, b"small")]


def test_changes_are_kept_beside_the_whole_state_until_there_is_a_new_one(settings):
    store = SnapshotStore(settings, "windows")
    store.load(3)
    store.save(3, 1, LARGE, True)
    before = dict(store._heads)
    store.save(3, 2, b"first change", False)
    store._heads = before
    for _ in range(2):
        store.save(3, 2, b"first change", False)
    other = SnapshotStore(settings, "windows")
    assert other.load(3) == [LARGE, b"first change"]
    other.save(3, 3, b"second change", False)
    assert SnapshotStore(settings, "windows").load(3) == [LARGE, b"first change", b"second change"]
    third = SnapshotStore(settings, "windows")
    third.load(3)
    third.save(3, 4, b"all of it", True)
    rows = store._session.execute(f"SELECT * FROM {settings.cassandra.keyspace}.snapshot_chunks")
    assert [(row.version, row.data) for row in rows if row.partition == 3] == [(4, b"all of it")]
