"""The faults of stores that live and refuse: a full disk, too few replicas, too many requests."""

from __future__ import annotations

import time

from oda.chaos.faults import HURT_SECONDS, Fault, kill
from oda.chaos.system import System
from oda.cluster.server import Server
from oda.stores.elasticsearch import connect
from oda.stores.session import open_session

_BLOCK = bytes(2**20)


class FullDisk(Fault):
    """A server's file system has no byte left. It must be one of its own: a small tmpfs."""

    def __init__(self, server: Server) -> None:
        self.name = f"full disk of {server.name}"
        self._server = server
        self._ballast = server.folder / "ballast"

    def strike(self, system: System) -> None:
        """Fill it, and keep it full although the server may free something."""
        end = time.monotonic() + HURT_SECONDS
        with self._ballast.open("wb", buffering=0) as file:
            while time.monotonic() < end:
                try:
                    # A short write is the last that fits.
                    while file.write(_BLOCK) == len(_BLOCK):
                        pass
                except OSError:
                    time.sleep(0.1)

    def heal(self, system: System) -> None:
        """What its operator does: make room, and start it again."""
        self._ballast.unlink()
        kill(system.server(self._server.name))
        system.mend()


class Unavailable(Fault):
    """Cassandra answers each write with `Unavailable`: its keyspace wants more replicas than there are nodes."""

    name = "unavailable cassandra"

    def strike(self, system: System) -> None:
        self._replicate(system, 3)
        time.sleep(HURT_SECONDS)

    def heal(self, system: System) -> None:
        self._replicate(system, system.settings.cassandra.replication)

    @staticmethod
    def _replicate(system: System, number: int) -> None:
        session = open_session(system.settings.cassandra)
        with session.cluster:
            session.execute(
                f"ALTER KEYSPACE {system.settings.cassandra.keyspace} WITH replication = "
                f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {number}}}"
            )


class TooManyRequests(Fault):
    """Elasticsearch answers with 429: its circuit breaker sees far too little memory."""

    name = "too many requests elasticsearch"

    def strike(self, system: System) -> None:
        self._limit(system, "1%")
        time.sleep(HURT_SECONDS)

    def heal(self, system: System) -> None:
        self._limit(system, None)

    @staticmethod
    def _limit(system: System, limit: str | None) -> None:
        with connect(system.settings.elasticsearch) as client:
            client.cluster.put_settings(persistent={"indices.breaker.total.limit": limit})
