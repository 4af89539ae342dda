"""ZooKeeper, where Storm's daemons meet; it is inside Storm's jars."""

from __future__ import annotations

import socket
import ssl

from oda.cluster.server import PROBE_SECONDS, Server


class ZooKeeper(Server):
    """One standalone node."""

    name = "zookeeper"
    templates = "zookeeper"
    listens_on = ("zookeeper",)
    memory_mb = 110

    def command(self) -> list[str]:
        main = "org.apache.storm.shade.org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return self.java([self.software.storm / "lib/*"], main, f"{self.conf}/zoo.cfg")

    def probe(self) -> None:
        """Whether it answers as a standalone node."""
        with self._connected() as client:
            client.sendall(b"srvr")
            answer = client.recv(4096)
        if b"Mode: standalone" not in answer:
            raise ConnectionError(f"ZooKeeper says {answer!r}")

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.ports[0]), PROBE_SECONDS)
        if not self.layout.certificates:
            return connection
        tls = ssl.create_default_context(cafile=self.layout.certificates / "ca.pem")
        tls.load_cert_chain(self.layout.certificates / "server.chain.pem")
        return tls.wrap_socket(connection, server_hostname="127.0.0.1")
