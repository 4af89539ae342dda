"""The stores are lost, and a backup of them is put back while Kafka lived on, in the way of docs/operations.md."""

import shutil
from contextlib import closing, contextmanager

from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.core.kinds import WINDOWS
from oda.kafka import client
from oda.kafka.topics import create_topics
from oda.stores.cassandra import CassandraStore

STORES = ("cassandra", "elasticsearch")


@contextmanager
def folders_of_stores(cluster):
    """Their names and data, while they are down."""
    servers = LocalCluster(load_layout(cluster.config, cluster.env), install(lambda *_: None))
    servers.down(STORES)
    yield [(server.name, server.folder) for server in servers.servers if server.name in STORES]
    servers.up(lambda *_: None)


def test_with_the_offsets_of_the_backup_all_is_written_again(cluster, tmp_path):
    stream = cluster.isolated(tmp_path)
    settings = stream.settings
    create_topics(settings.kafka)

    def work(seed: int) -> set:
        """More readings, all stored; returns the windows that Cassandra has then."""
        with stream.topology():
            stream.oda("collect", "walk", "--series", 5, "--rate", 0, "--count", 20_000, "--seed", seed)
            stream.verify()
        return windows()

    def windows() -> set:
        with closing(CassandraStore(settings)) as store:
            return {place for place, _ in store.rows(WINDOWS)}

    kept = work(1)
    with folders_of_stores(cluster) as folders:
        for name, folder in folders:
            shutil.copytree(folder, tmp_path / name)
    with closing(client.admin(settings.kafka)) as admin:
        offsets = admin.list_group_offsets([settings.kafka.group])[settings.kafka.group]

    whole = work(2)
    assert whole > kept
    with folders_of_stores(cluster) as folders:
        for name, folder in folders:
            for path in folder.iterdir():  # the folder itself may be a mount
                shutil.rmtree(path)
            shutil.copytree(tmp_path / name, folder, dirs_exist_ok=True)
    assert windows() == kept
    with closing(client.admin(settings.kafka)) as admin:
        admin.alter_group_offsets(settings.kafka.group, offsets)

    with stream.topology():
        stream.verify()
    assert windows() == whole
