"""Storm's daemons: nimbus gives out the work, supervisors run workers, UI and logviewer show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from oda.cluster.keystores import PASSWORD, write_keystores
from oda.cluster.layout import Place
from oda.cluster.server import PROBE_SECONDS, Server
from oda.storm.nimbus import nimbus
from oda.storm.rest import RestApi


class Patience(NamedTuple):
    """How long Storm waits for what says nothing, seconds.

    Attributes:
        worker: a supervisor for a worker.
        worker_start: the same, while it starts.
        component: a worker for a component's Python process.
        task: nimbus for a worker's heartbeats, by which it is given to another supervisor.
        task_start: for how long after it is given to one nimbus does not look for them.
    """

    worker: int
    worker_start: int
    component: int
    task: int
    task_start: int


ALONE = Patience(worker=10, worker_start=30, component=10, task=30, task_start=120)

SHARED = Patience(worker=30, worker_start=120, component=120, task=12, task_start=45)
"""Of several machines on one. At a load of 60 a Python component said nothing for 30 s, and was well; a worker that its
supervisor started again took longer than `task`, so nimbus dealt out all of them anew (at 20 readings/s one told of
itself after 9.7 s). More would be too long for a machine that died: a worker on another one is to judge again within
30 s. For `task_start` after a worker was given to a supervisor nimbus takes it for alive, whether it says anything or
not: with 120, Storm's default, a machine that died soon after was missed after 69 s. A worker told of itself 8 to 22 s
after it was given out.
"""


class StormDaemon(Server):
    """A daemon as plain Java: `bin/storm` would start two JVMs more to read the configuration."""

    templates = "storm"
    main: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("lib",)

    @property
    def host(self) -> str:
        """What it calls its machine: to the scheduler, supervisors on addresses of their own are machines apart."""
        return self.machine.address if self.layout.is_shared else f"127.0.0.{self.number}"

    @property
    def folder(self) -> Path:
        """Nimbus and UI share one."""
        return self.layout.data / self.templates

    def values(self) -> dict[str, object]:
        """Where the others are. The daemons find their pages and scripts in Storm's home."""
        zookeepers, master = self.layout.places["zookeeper"], self.layout.nimbus
        supervisor, *workers = self.layout.places["supervisor"][self.number - 1].ports.values()
        patience = SHARED if self.layout.is_shared else ALONE
        return super().values() | {
            "storm_home": self.software.storm,
            "host": self.host,
            "zookeepers": json.dumps([place.machine.address for place in zookeepers]),
            "zookeeper_port": zookeepers[0].ports["zookeeper"],
            "nimbus_host": master.machine.address,
            "nimbus_port": master.ports["nimbus"],
            "ui_port": self.layout.places["ui"][0].ports["ui"],
            "logviewer_port": self.layout.logviewer_port,
            "supervisor_port": supervisor,
            "worker_ports": workers,
            "keystore_password": PASSWORD,
            **{f"{name}_seconds": seconds for name, seconds in patience._asdict().items()},
        }

    def prepare(self) -> None:
        super().prepare()
        if self.certificates:
            write_keystores(self.certificates, self.conf)

    def environment(self) -> Mapping[str, str]:
        """Workers find their supervisor's storm.yaml by STORM_CONF_DIR."""
        return {**super().environment(), "STORM_CONF_DIR": str(self.conf)}

    def command(self) -> list[str]:
        libraries: list[str | Path] = [self.software.storm / library / "*" for library in self.libraries]
        return self.java([*libraries, self.conf], f"-Ddaemon.name={self.name}", f"org.apache.storm.daemon.{self.main}")


class Nimbus(StormDaemon):
    """The master."""

    kind = "nimbus"
    main = "nimbus.Nimbus"
    after = ("zookeeper",)
    memory_mb = 160
    decides = True

    def probe(self) -> None:
        """Whether it knows its cluster."""
        _cluster_info(self.layout.nimbus)


class Supervisor(StormDaemon):
    """One of them: starts and watches its workers, which are JVMs of their own."""

    kind = "supervisor"
    numbered = True
    main = "supervisor.Supervisor"
    adopts = True  # its workers go on working while it is away
    after = ("nimbus",)
    memory_mb = 160

    @property
    def folder(self) -> Path:
        """Its data and configuration; each has its own."""
        return self.layout.data / self.name

    @property
    def log(self) -> Path:
        """One for all: the UI's pages of all supervisors link to this name, at the one logviewer."""
        return self.layout.logs / "supervisor.log"

    def probe(self) -> None:
        """Whether nimbus has heard of it."""
        if self.host not in {found.host for found in _cluster_info(self.layout.nimbus).supervisors}:
            raise ConnectionError(f"nimbus has not heard of {self.name} yet")


class WebDaemon(StormDaemon):
    """Has pages, and an API behind them."""

    libraries = ("lib", "lib-webapp")
    after = ("nimbus",)

    def ask(self, path: str) -> Any:
        """Its API."""
        security = self.layout.settings.storm.security
        return RestApi(self.machine.address, self.ports[0], security, PROBE_SECONDS).ask(path)


class UI(WebDaemon):
    """Pages and REST API."""

    kind = "ui"
    main = "ui.UIServer"
    memory_mb = 180

    def probe(self) -> None:
        """Whether its REST API reaches nimbus."""
        self.ask("cluster/summary")["stormVersion"]


class Logviewer(WebDaemon):
    """Shows the workers' logs to the UI's readers."""

    kind = "logviewer"
    main = "logviewer.LogviewerServer"
    memory_mb = 160

    @property
    def folder(self) -> Path:
        """The first supervisor's: it spares the logs of living workers, of which it learns there."""
        return self.layout.data / f"supervisor-{self.number}"

    def probe(self) -> None:
        """Whether it looks for logs."""
        self.ask("searchLogs")


def _cluster_info(place: Place) -> Any:
    with nimbus(place.machine.address, place.ports["nimbus"], PROBE_SECONDS) as service:
        return service.getClusterInfo()
