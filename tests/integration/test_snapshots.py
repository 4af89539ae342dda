"""Snapshots in Cassandra: a partition has one owner, the newest that loaded it."""

import pytest

from oda.stores.snapshots import CHUNK_BYTES, FencedError, SnapshotStore

LARGE = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"and a part of a chunk"


@pytest.fixture(scope="module")
def settings(cluster, tmp_path_factory):
    return cluster.isolated(tmp_path_factory.mktemp("snapshots")).settings


def test_who_loads_last_can_save_and_who_loaded_before_can_not(settings):
    first, second = SnapshotStore(settings), SnapshotStore(settings)
    assert (first.load(0), second.load(0)) == (None, None)
    with pytest.raises(FencedError, match="is another topology running"):
        first.save(0, 1, b"zombie")
    second.save(0, 1, b"successor")
    assert first.load(0) == b"successor"
    with pytest.raises(FencedError):
        second.save(0, 2, b"zombie")
    first.save(0, 2, LARGE)
    assert second.load(0) == LARGE


def test_what_is_repeated_because_its_answer_got_lost_changes_nothing(settings):
    store = SnapshotStore(settings)
    assert (store.load(1), store.load(1)) == (None, None)
    store.save(1, 1, b"one")
    before = dict(store._heads)
    store.save(1, 2, b"two")
    store._heads = before  # as if it had not heard that it was done
    store.save(1, 2, b"two")
    store.save(1, 3, b"three")
    assert SnapshotStore(settings).load(1) == b"three"


def test_no_chunk_is_left_of_what_was_replaced_or_refused(settings):
    first, second = SnapshotStore(settings), SnapshotStore(settings)
    first.load(2)
    first.save(2, 1, LARGE)
    second.load(2)
    with pytest.raises(FencedError):
        first.save(2, 2, LARGE)
    second.save(2, 2, b"small")
    rows = second._session.execute(f"SELECT * FROM {settings.cassandra.keyspace}.snapshot_chunks")
    assert [(row.version, row.data) for row in rows if row.partition == 2] == [(2, b"small")]
