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
from typing import ClassVar

from oda.cluster.layout import CLUSTER, Layout
from oda.cluster.software import Software
from oda.paths import BIN

PROBE_SECONDS = 5.0
"""How long one question to a server may take."""


class _Configuration(Template):
    """`@{name}`: the servers' own files are full of `$`."""

    delimiter = "@"


class Server(ABC):
    """One server of the local cluster.

    To add one: the five attributes, the templates, and the two methods that are missing here.

    Attributes:
        name: as people and files call it.
        after: names of the servers that must serve before this one is started.
        memory_mb: about what it needs, in MiB.
        templates: the folder in `cluster/` with its configuration.
        listens_on: names of its ports; the first is the one that clients use.
        adopts: whether it takes over what a former one of its kind started and left behind.
    """

    name: str
    after: ClassVar[tuple[str, ...]] = ()
    memory_mb: ClassVar[int]
    templates: ClassVar[str]
    listens_on: tuple[str, ...]
    adopts: ClassVar[bool] = False

    def __init__(self, layout: Layout, software: Software) -> None:
        self.layout = layout
        self.software = software

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on; the first is the one that clients use."""
        return [self.layout.ports[name] for name in self.listens_on]

    @abstractmethod
    def command(self) -> list[str]:
        """What to run, once `prepare` is done."""

    @abstractmethod
    def probe(self) -> None:
        """Ask for something that only a server that works can do. Raises anything if it can't."""

    @property
    def folder(self) -> Path:
        """Its data and configuration."""
        return self.layout.data / self.templates

    @property
    def conf(self) -> Path:
        """Its configuration, made from the templates at each start."""
        return self.folder / "conf"

    @property
    def log(self) -> Path:
        """Its standard output and error."""
        return self.layout.logs / f"{self.name}.log"

    def values(self) -> dict[str, object]:
        """What its templates may refer to."""
        folders = {"folder": self.folder, "conf": self.conf, "logs": self.layout.logs}
        folders |= {"certificates": self.layout.certificates} if self.layout.certificates else {}
        # Where Java expects a URI, a blank or a percent sign in a folder's name has to be escaped.
        uris = {"conf_uri": self.conf.as_uri(), "cluster_uri": CLUSTER.as_uri()}
        return {**{f"{name}_port": port for name, port in self.layout.ports.items()}, **folders, **uris}

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
            return client.connect_ex(("127.0.0.1", self.ports[0])) == 0


def _latin(properties: str) -> str:
    """Java reads properties as Latin-1, with escapes for all else."""
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], properties)
