"""What all servers have in common: a folder, a configuration, a command, and a way to ask whether it serves."""

from __future__ import annotations

import json
import os
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import ClassVar, Self

from oda.cluster.layout import CLUSTER, Layout, Machine, Place
from oda.cluster.software import Software
from oda.paths import BIN

PROBE_SECONDS = 5.0
"""How long one question to a server may take."""


class _Configuration(Template):
    """`@{name}`: the servers' own files are full of `$`."""

    delimiter = "@"


class Server(ABC):
    """One server of the local cluster.

    To add one: the three attributes without a value, its place in `oda.cluster.layout`, the templates, and the two
    methods that are missing here.

    Attributes:
        kind: as `Layout.places` calls it.
        templates: the folder in `cluster/` with its configuration.
        memory_mb: about what it needs, in MiB.
        numbered: whether it has a number in its name although it is the only one.
        after: kinds whose servers must serve before this one is started.
        adopts: whether it takes over what a former one of its kind started and left behind.
        decides: whether it is one of those that tell who lives. Where machines share cores these come first: late,
            they take for dead what is only slow.
        number: 1 is the first of its kind.
        name: as people and files call it.
    """

    kind: ClassVar[str]
    templates: ClassVar[str]
    memory_mb: ClassVar[int]
    numbered: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()
    adopts: ClassVar[bool] = False
    decides: ClassVar[bool] = False

    def __init__(self, layout: Layout, software: Software, number: int = 1) -> None:
        self.layout = layout
        self.software = software
        self.number = number
        self.name = f"{self.kind}-{number}" if self.numbered or len(layout.places[self.kind]) > 1 else self.kind

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.layout.places[self.kind][self.number - 1]

    @property
    def machine(self) -> Machine:
        """The one that it runs on."""
        return self.place.machine

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on; the first is the one that clients use."""
        return list(self.place.ports.values())

    @property
    def all_of_kind(self) -> list[Self]:
        """The servers of its kind, itself among them: together they are one system."""
        return [type(self)(self.layout, self.software, n) for n in range(1, len(self.layout.places[self.kind]) + 1)]

    @abstractmethod
    def command(self) -> list[str]:
        """What to run, once `prepare` is done."""

    @abstractmethod
    def probe(self) -> None:
        """Ask for something that only a server that works can do. Raises anything if it can't."""

    @property
    def folder(self) -> Path:
        """Its data and configuration; each has its own."""
        return self.layout.data / self.name

    @property
    def conf(self) -> Path:
        """Its configuration, made from the templates at each start."""
        return self.folder / "conf"

    @property
    def log(self) -> Path:
        """Its standard output and error."""
        return self.layout.logs / f"{self.name}.log"

    @property
    def certificates(self) -> Path | None:
        """The folder of its machine's; None if all is plain."""
        return self.layout.certificates_of(self.machine)

    def values(self) -> dict[str, object]:
        """What its templates may refer to."""
        itself = {"name": self.name, "number": self.number, "address": self.machine.address}
        # Where machines share the cores of one, compiling anew after each start would take most of them.
        starts_fast = self.layout.is_shared and not self.layout.compiles
        itself |= {"compiler": "-XX:TieredStopAtLevel=1" if starts_fast else ""}
        folders = {"folder": self.folder, "conf": self.conf, "logs": self.layout.logs}
        folders |= {"certificates": self.certificates} if self.certificates else {}
        # Where Java expects a URI, a blank or a percent sign in a folder's name has to be escaped.
        uris = {"conf_uri": self.conf.as_uri(), "cluster_uri": CLUSTER.as_uri()}
        return {**{f"{what}_port": port for what, port in self.place.ports.items()}, **itself, **folders, **uris}

    def lost_its_disk(self) -> bool:
        """Whether it has no data, and another of its kind has: it is to come back to them, and not to begin anew.

        One that joins the first time has a folder for its data, and nothing in it.
        """
        data = [server.folder / "data" for server in self.all_of_kind]
        return not (self.folder / "data").exists() and any(folder.exists() for folder in data)

    def prepare(self) -> None:
        """Write its configuration."""
        self.conf.mkdir(parents=True, exist_ok=True)
        for template in sorted((CLUSTER / self.templates).iterdir()):
            if template.name != "pom.xml":
                more = CLUSTER / ("secured" if self.layout.certificates else "plain") / template.name
                both = template.read_text("utf-8") + (more.read_text("utf-8") if more.exists() else "")
                text = _Configuration(both).substitute(self.values())
                if template.suffix in (".properties", ".cfg"):
                    text = _latin(text)
                (self.conf / template.name).write_text(text, "utf-8")

    def environment(self) -> Mapping[str, str]:
        """Its environment; our Python's folder comes first, for the topologies' Python components."""
        path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
        return os.environ | {"JAVA_HOME": str(self.software.jdk), "PATH": path}

    def java(self, classpath: list[str | Path], *main: str) -> list[str]:
        """A Java command with the options of `jvm.options`."""
        java = str(self.software.jdk / "bin/java")
        return [java, f"@{self.conf}/jvm.options", "-cp", os.pathsep.join(map(str, classpath)), *main]

    def listens(self) -> bool:
        """Whether something accepts connections at its first port."""
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex((self.machine.address, self.ports[0])) == 0


def _latin(properties: str) -> str:
    """Java reads properties as Latin-1, with escapes for all else."""
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], properties)
