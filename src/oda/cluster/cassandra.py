"""Cassandra, the online store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oda.cluster.server import PROBE_SECONDS, Server
from oda.errors import UserError
from oda.security import password
from oda.settings import CassandraSecurity

if TYPE_CHECKING:  # the driver costs each command time
    from cassandra.cluster import Session


class CassandraNode(Server):
    """One node; together they are one ring."""

    kind = "cassandra"
    templates = "cassandra"
    memory_mb = 1000

    def values(self) -> dict[str, object]:
        """Who the others are. Cassandra measures its memtables with a Java agent."""
        jamm = next(file for file in self.software.cache.files("cassandra") if file.name.startswith("jamm-"))
        nodes, address, lost = self.all_of_kind, self.machine.address, self.lost_its_disk()
        # A seed takes no rows from others, so all may be started at once, and none that has to get its rows is one.
        seeds = [
            node.place.at("cassandra_storage")
            for node in nodes
            if not node.machine.joined and not (lost and node.number == self.number)
        ]
        return super().values() | {
            "jamm": jamm,
            "seeds": ",".join(seeds),
            "replicas": min(3, len(nodes)),
            "heap_mb": 512 if self.layout.is_shared else 640,
            "gossip_rounds": -1 if len(nodes) > 1 else 0,
            "replacing": f"-Dcassandra.replace_address_first_boot={address}" if lost else "",
        }

    def command(self) -> list[str]:
        return self.tool("org.apache.cassandra.service.CassandraDaemon")

    def tool(self, *main: str) -> list[str]:
        """What runs one of Cassandra's programs."""
        return self.java([*self.software.cache.files("cassandra")], *main)

    def probe(self) -> None:
        """Whether a query is answered."""
        from cassandra.auth import PlainTextAuthProvider

        from oda.stores.session import open_session

        own = {"hosts": self.place.at(self.kind), "timeout_ms": int(PROBE_SECONDS * 1000)}
        itself = self.layout.settings.cassandra.model_copy(update=own)
        try:
            session = open_session(itself)
        except UserError:
            if not self.layout.certificates:
                raise
            # Of a new node, whose only account has a password that anyone knows.
            first = open_session(itself, PlainTextAuthProvider("cassandra", "cassandra"))
            with first.cluster:
                _make_administrator(first, itself.security)
            session = open_session(itself)
            session.execute("ALTER ROLE cassandra WITH SUPERUSER = false AND LOGIN = false")
        with session.cluster:
            session.execute("SELECT release_version FROM system.local")


def _make_administrator(session: Session, security: CassandraSecurity) -> None:
    from oda.stores.session import quoted

    role = f"CREATE ROLE IF NOT EXISTS {quoted(str(security.user))} WITH SUPERUSER = true AND LOGIN = true"
    session.execute(f"{role} AND PASSWORD = %s", (password(security),))
