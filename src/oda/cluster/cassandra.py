"""Cassandra, the online store."""

from __future__ import annotations

from oda.cluster.server import PROBE_SECONDS, Server


class CassandraNode(Server):
    """One node."""

    name = "cassandra"
    templates = "cassandra"
    listens_on = ("cassandra", "cassandra_storage")
    memory_mb = 1000

    def values(self) -> dict[str, object]:
        """Cassandra measures its memtables with a Java agent."""
        jamm = next(file for file in self.software.cache.files("cassandra") if file.name.startswith("jamm-"))
        return super().values() | {"jamm": jamm}

    def command(self) -> list[str]:
        jars = self.software.cache.files("cassandra")
        return self.java([*jars], "org.apache.cassandra.service.CassandraDaemon")

    def probe(self) -> None:
        """Whether a query is answered."""
        from cassandra.cluster import Cluster

        cluster = Cluster(["127.0.0.1"], port=self.ports[0], connect_timeout=PROBE_SECONDS)
        try:
            cluster.connect().execute("SELECT release_version FROM system.local", timeout=PROBE_SECONDS)
        finally:
            cluster.shutdown()
