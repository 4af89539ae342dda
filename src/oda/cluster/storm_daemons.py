"""Storm's daemons: nimbus gives out the work, supervisors run workers, UI and logviewer show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from oda.cluster.keystores import PASSWORD, write_keystores
from oda.cluster.layout import Layout
from oda.cluster.server import PROBE_SECONDS, Server
from oda.cluster.software import Software
from oda.storm.rest import RestApi


class StormDaemon(Server):
    """A daemon as plain Java: `bin/storm` would start two JVMs more to read the configuration.

    Attributes:
        number: which supervisor its configuration describes; 1 is the first in `servers.supervisor_ports`.
    """

    templates = "storm"
    main: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("lib",)
    number = 1

    @property
    def host(self) -> str:
        """What it calls its machine: to the scheduler, supervisors on addresses of their own are machines apart."""
        return f"127.0.0.{self.number}"

    def values(self) -> dict[str, object]:
        """The daemons find their pages and scripts in Storm's home."""
        return super().values() | {
            "storm_home": self.software.storm,
            "host": self.host,
            "supervisor_port": self.layout.ports[f"supervisor_{self.number}"],
            "worker_ports": list(self.layout.worker_ports[self.number - 1]),
            "keystore_password": PASSWORD,
        }

    def prepare(self) -> None:
        super().prepare()
        if self.layout.certificates:
            write_keystores(self.layout.certificates, self.conf)

    def environment(self) -> Mapping[str, str]:
        """Workers find their supervisor's storm.yaml by STORM_CONF_DIR."""
        return {**super().environment(), "STORM_CONF_DIR": str(self.conf)}

    def command(self) -> list[str]:
        libraries: list[str | Path] = [self.software.storm / library / "*" for library in self.libraries]
        return self.java([*libraries, self.conf], f"-Ddaemon.name={self.name}", f"org.apache.storm.daemon.{self.main}")


class Nimbus(StormDaemon):
    """The master."""

    name = "nimbus"
    listens_on = ("nimbus",)
    main = "nimbus.Nimbus"
    after = ("zookeeper",)
    memory_mb = 160

    def probe(self) -> None:
        """Whether it knows its cluster."""
        _cluster_info(self.layout.ports["nimbus"])


class Supervisor(StormDaemon):
    """One of them: starts and watches its workers, which are JVMs of their own."""

    main = "supervisor.Supervisor"
    adopts = True  # its workers go on working while it is away
    after = ("nimbus",)
    memory_mb = 160

    def __init__(self, layout: Layout, software: Software, number: int) -> None:
        super().__init__(layout, software)
        self.number = number
        self.name = f"supervisor-{number}"
        self.listens_on = (f"supervisor_{number}",)

    @property
    def folder(self) -> Path:
        """Its data and configuration; each has its own."""
        return self.layout.data / self.name

    @property
    def log(self) -> Path:
        """One for all: the UI's pages of all supervisors link to this name, at the one logviewer."""
        return self.layout.logs / "supervisor.log"

    @property
    def ports(self) -> list[int]:
        """Its own and its workers'."""
        return [*super().ports, *self.layout.worker_ports[self.number - 1]]

    def probe(self) -> None:
        """Whether nimbus has heard of it."""
        if self.host not in {found.host for found in _cluster_info(self.layout.ports["nimbus"]).supervisors}:
            raise ConnectionError(f"nimbus has not heard of {self.name} yet")


class WebDaemon(StormDaemon):
    """Has pages, and an API behind them."""

    libraries = ("lib", "lib-webapp")
    after = ("nimbus",)

    def ask(self, path: str) -> Any:
        """Its API."""
        api = RestApi("127.0.0.1", self.ports[0], self.layout.settings.storm.security, PROBE_SECONDS)
        return api.ask(path)


class UI(WebDaemon):
    """Pages and REST API."""

    name = "ui"
    listens_on = ("ui",)
    main = "ui.UIServer"
    memory_mb = 180

    def probe(self) -> None:
        """Whether its REST API reaches nimbus."""
        self.ask("cluster/summary")["stormVersion"]


class Logviewer(WebDaemon):
    """Shows the workers' logs to the UI's readers."""

    name = "logviewer"
    listens_on = ("logviewer",)
    main = "logviewer.LogviewerServer"
    memory_mb = 160

    @property
    def folder(self) -> Path:
        """The first supervisor's: it spares the logs of living workers, of which it learns there."""
        return self.layout.data / f"supervisor-{self.number}"

    def probe(self) -> None:
        """Whether it looks for logs."""
        self.ask("searchLogs")


def _cluster_info(nimbus_port: int) -> Any:
    # Not streamparse's own get_nimbus_client: importing that takes a second and prints warnings.
    from streamparse.thrift import Nimbus as Service
    from thriftpy2.rpc import make_client
    from thriftpy2.transport import TFramedTransportFactory

    transport, timeout_ms = TFramedTransportFactory(), int(PROBE_SECONDS * 1000)
    client = make_client(Service, "127.0.0.1", nimbus_port, trans_factory=transport, timeout=timeout_ms)
    try:
        return client.getClusterInfo()
    finally:
        client.close()
