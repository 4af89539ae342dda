"""ZooKeeper, where Storm's daemons meet; it is inside Storm's jars."""

from __future__ import annotations

import socket
import ssl

from oda.cluster.server import PROBE_SECONDS, Server

_LEADS = b"Mode: leader"

_WORKS = (b"Mode: standalone", _LEADS, b"Mode: follower")


class ZooKeeper(Server):
    """One node; together they are one ensemble."""

    kind = "zookeeper"
    templates = "zookeeper"
    memory_mb = 110
    decides = True

    def values(self) -> dict[str, object]:
        """Who the others are."""
        places = self.layout.places[self.kind]
        ensemble = (
            f"server.{number}={place.at('zookeeper_peer')}:{place.ports['zookeeper_election']}"
            for number, place in enumerate(places, 1)
            if len(places) > 1
        )
        return super().values() | {"ensemble": "\n".join(ensemble)}

    def prepare(self) -> None:
        super().prepare()
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(f"{self.number}\n")

    def command(self) -> list[str]:
        main = "org.apache.storm.shade.org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return self.java([self.software.storm / "lib/*"], main, f"{self.conf}/zoo.cfg")

    def probe(self) -> None:
        """Whether it serves, alone or with the others."""
        answer = self._answer()
        if not any(mode in answer for mode in _WORKS):
            raise ConnectionError(f"ZooKeeper says {answer!r}")

    def leads(self) -> bool:
        """Whether it leads the others: while they elect another, none serves.

        Raises:
            OSError: it does not answer.
        """
        return _LEADS in self._answer()

    def _answer(self) -> bytes:
        with self._connected() as client:
            client.sendall(b"srvr")
            return client.recv(4096)

    def _connected(self) -> socket.socket:
        connection = socket.create_connection((self.machine.address, self.ports[0]), PROBE_SECONDS)
        if not self.certificates:
            return connection
        tls = ssl.create_default_context(cafile=self.certificates / "ca.pem")
        tls.load_cert_chain(self.certificates / "server.chain.pem")
        return tls.wrap_socket(connection, server_hostname=self.machine.address)
