"""What is compared: ODA, whole and without its stores, and the stream processors in `benchmarks/peers`.

Each reads the same topic from its beginning and writes windows and anomalies to Kafka. Everything an engine needs
but Kafka is its own: a Python environment or a Java class path.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import venv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from oda.bench import throughput
from oda.bench.own import own_stream
from oda.bench.results import Expected, Rows, collect, stamp, wait_for
from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.errors import UserError
from oda.paths import ROOT
from oda.security import password
from oda.settings import SYSTEM, KafkaSecurity, Settings
from oda.storm.topologies import Storm

BENCHMARKS = ROOT / "benchmarks"
PEERS = BENCHMARKS / "peers"
_ENVIRONMENTS = ROOT / ".oda/peers"
_WORKERS = os.cpu_count() or 1
_STOP_SECONDS = 30
_NEVER_MS = 2**31
"""ODA's clock closes windows of silent series. The others have none, so it must not strike."""


class EngineRun(NamedTuple):
    """What an engine wrote, and how many readings a second it worked off."""

    rows: Rows
    per_second: float


@contextmanager
def _stream(context: Context, topic: str, lateness_ms: int) -> Iterator[tuple[Storm, Settings]]:
    options = {"kafka__readings": topic, "window__lateness_ms": lateness_ms, "window__idle_ms": _NEVER_MS}
    options |= {"parallelism__readings": _WORKERS}  # a process a core, as the others have
    with own_stream(context, **options) as (storm, settings):
        stamp(settings)
        yield storm, settings


class Engine(ABC):
    """One engine; `share` is the part of a workload that it gets, because it would take too long for all of it."""

    def __init__(self, name: str, share: float = 1.0) -> None:
        self.name, self.share = name, share

    def install(self) -> None:  # noqa: B027 - ODA is installed
        """Fetch and build what it needs, once."""

    @abstractmethod
    def run(self, context: Context, topic: str, lateness_ms: int, expected: Expected) -> EngineRun:
        """Work a topic off, until all results that are expected are there. Raises UserError when it can't."""


class OdaCompute(Engine):
    """The topology without Cassandra's and Elasticsearch's sinks.

    ODA reads far ahead of its first result, so its clock starts when it begins to read.
    """

    def run(self, context: Context, topic: str, lateness_ms: int, expected: Expected) -> EngineRun:
        """Until the last result."""
        with _stream(context, topic, lateness_ms) as (storm, settings):
            with storm.running(settings.kafka.group, topology="../benchmarks/compute"):
                began = throughput.reading_since(settings, load_layout(context.config, context.env).logs)
                wait_for(settings, len(expected.rows), lambda: None)
            found = collect(settings)
        return EngineRun(found.rows, expected.readings / (found.last - began))


class Oda(Engine):
    """The topology with all three sinks: a reading counts when everything that came of it is durable and committed."""

    def run(self, context: Context, topic: str, lateness_ms: int, expected: Expected) -> EngineRun:
        """Until the last commit."""
        with _stream(context, topic, lateness_ms) as (storm, settings):
            with storm.running(settings.kafka.group):
                rate = throughput.topology_rate(settings, load_layout(context.config, context.env).logs)
            wait_for(settings, len(expected.rows), lambda: None)
            return EngineRun(collect(settings).rows, rate.per_second)


class Peer(Engine):
    """A program in `benchmarks/peers` that is told by its environment what to read and where to write."""

    def run(self, context: Context, topic: str, lateness_ms: int, expected: Expected) -> EngineRun:
        """From the first result to the last."""
        with _stream(context, topic, lateness_ms) as (_, settings), tempfile.TemporaryDirectory() as folder:
            with self._running(settings, Path(folder)) as process:
                wait_for(settings, len(expected.rows), lambda: _must_run(process, self.name))
            found = collect(settings)
        return EngineRun(found.rows, expected.behind_first / (found.last - found.first))

    @property
    def folder(self) -> Path:
        """Its source."""
        return PEERS / self.name

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """How it is started."""

    @contextmanager
    def _running(self, settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        state = folder / "state"
        state.mkdir()
        environment = {
            "BROKERS": settings.kafka.brokers,
            "READINGS": settings.kafka.readings,
            "RESULTS": settings.kafka.windows,
            "GROUP": settings.kafka.group,
            "LATENESS_MS": str(settings.window.lateness_ms),
            "STATE": str(state),
            "WORKERS": str(_WORKERS),
            "PYTHONPATH": str(PEERS),
            **_security(settings.kafka.security),
        }
        log = _ENVIRONMENTS / f"{self.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class PythonPeer(Peer):
    """`main.py` in an environment of its own, from `requirements.txt`."""

    @property
    def command(self) -> list[str]:
        return [str(self._environment / "bin/python"), str(self.folder / "main.py")]

    @property
    def _environment(self) -> Path:
        return _ENVIRONMENTS / self.name

    def install(self) -> None:
        """Make the environment anew when the requirements have changed."""
        requirements, installed = self.folder / "requirements.txt", self._environment / "requirements.txt"
        if installed.exists() and installed.read_text() == requirements.read_text():
            return
        venv.create(self._environment, clear=True, with_pip=True)
        _build(
            [
                f"{self._environment}/bin/python",
                "-m",
                "pip",
                "install",
                "-q",
                "--require-hashes",
                "-r",
                str(requirements),
            ]
        )
        installed.write_text(requirements.read_text())


class JavaPeer(Peer):
    """A Maven project."""

    @property
    def command(self) -> list[str]:
        return ["java", "-cp", f"{self.folder}/target/classes:{self.folder}/target/lib/*", "Main"]

    def install(self) -> None:
        """Compile; Maven keeps what it fetched."""
        goals = ["compiler:compile", "dependency:copy-dependencies"]
        _build(["mvn", "-q", "-f", str(self.folder / "pom.xml"), *goals])


ENGINES: tuple[Engine, ...] = (
    Oda("ODA, all stores"),
    OdaCompute("ODA, compute only"),
    JavaPeer("kafka-streams"),
    PythonPeer("bytewax"),
    PythonPeer("quixstreams"),
    PythonPeer("faust", share=0.1),
)


def _security(section: KafkaSecurity) -> dict[str, str]:
    """What a peer is told of it; an environment is for the eyes of its user only."""
    if section.ca == SYSTEM or section.certificate:
        raise UserError("peers know oda.kafka.security.ca as a file, and no certificate of their own")
    if section.user is None:
        return {"CA": section.ca} if section.ca else {}
    account = {"ACCOUNT": section.user, "PASSWORD": password(section), "MECHANISM": section.mechanism}
    return {"CA": str(section.ca), **account}


def _build(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")


def _must_run(process: subprocess.Popen[bytes], name: str) -> None:
    if process.poll() is not None:
        raise UserError(f"{name} ended with exit code {process.returncode}: see {_ENVIRONMENTS / name}.log")
