"""What is compared: ODA, whole and without its stores, and the stream processors in `benchmarks/peers`.

Each reads the same topic from its beginning and writes windows and anomalies to Kafka. Everything an engine needs
but Kafka is its own: a Python environment or a Java class path.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import venv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from oda.bench import throughput
from oda.bench.group_results import GroupResults, group_results
from oda.bench.group_rule import apply_groups
from oda.bench.own import own_stream
from oda.bench.results import Expected, Rows, collect, stamp, wait_for
from oda.bench.workload import Workload, write
from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.errors import UserError
from oda.kafka.topics import create_topic
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


class Task(NamedTuple):
    """What is to be worked off, and what is right.

    Attributes:
        topic: holds the workload, and nothing else.
        start: when that begins, epoch ms.
        expected: windows and anomalies.
        groups: rows of groups, whose windows are over.
    """

    topic: str
    workload: Workload
    start: int
    expected: Expected
    groups: Rows


class EngineRun(NamedTuple):
    """What an engine wrote, and how many readings a second it worked off."""

    rows: Rows
    per_second: float


@contextmanager
def _stream(context: Context, task: Task, **more: object) -> Iterator[tuple[Storm, Settings]]:
    options: dict[str, object] = {"window__lateness_ms": task.workload.lateness_ms, "window__idle_ms": _NEVER_MS}
    options |= {"parallelism__readings": _WORKERS}  # a process a core, as the others have
    with own_stream(context, **options | more) as (storm, settings):
        stamp(settings)
        yield storm, settings


@contextmanager
def _topology(context: Context, task: Task, **more: object) -> Iterator[tuple[Storm, Settings, GroupResults]]:
    """Settings of a topology that is not running yet.

    Where there are groups it has the same readings in a topic of its own: their rules stand before them, and what
    groups give behind.
    """
    with ExitStack() as stack:
        if not task.workload.groups:
            more |= {"kafka__readings": task.topic}
        storm, settings = stack.enter_context(_stream(context, task, **more))
        if task.workload.groups:
            apply_groups(settings, task.workload.members, task.workload.group_lateness_ms)
            write(settings, task.workload, task.start)
        topic = settings.kafka.readings
        yield storm, settings, stack.enter_context(group_results(settings, topic, task.groups, task.workload.members))


class Engine(ABC):
    """One engine.

    Attributes:
        share: the part of a workload that it gets, because it would take too long for all of it.
        groups: whether it can be told to do groups, too.
    """

    def __init__(self, name: str, share: float = 1.0, groups: bool = False) -> None:
        self.name, self.share, self.groups = name, share, groups

    def install(self) -> None:  # noqa: B027 - ODA is installed
        """Fetch and build what it needs, once."""

    @abstractmethod
    def run(self, context: Context, task: Task) -> EngineRun:
        """Work a topic off, until all results that are expected are there. Raises UserError when it can't."""


class OdaCompute(Engine):
    """The topology without Cassandra's and Elasticsearch's sinks.

    ODA reads far ahead of its first result, so its clock starts when it begins to read.
    """

    def run(self, context: Context, task: Task) -> EngineRun:
        """Until the last result."""
        executors = 1 if task.workload.groups else 0
        with _topology(context, task, parallelism__groups=executors) as (storm, settings, groups):
            with storm.running(settings.kafka.group, topology="../benchmarks/compute"):
                began = throughput.reading_since(settings, load_layout(context.config, context.env).logs)
                wait_for(settings, len(task.expected.rows), lambda: None)
                last = groups.wait(lambda: None)
            found = collect(settings)
        return EngineRun(found.rows, task.expected.readings / (max(found.last, last) - began))


class Oda(Engine):
    """The topology with all three sinks: a reading counts when everything that came of it is durable and committed."""

    def run(self, context: Context, task: Task) -> EngineRun:
        """Until the last commit, and the last reading of a group."""
        with _topology(context, task) as (storm, settings, groups):
            with storm.running(settings.kafka.group):
                began = throughput.reading_since(settings, load_layout(context.config, context.env).logs)
                throughput.wait_for_commits(settings)
                last = max(time.time(), groups.wait(lambda: None))
            wait_for(settings, len(task.expected.rows), lambda: None)
            return EngineRun(collect(settings).rows, task.expected.readings / (last - began))


class Peer(Engine):
    """A program in `benchmarks/peers` that is told by its environment what to read and where to write."""

    def run(self, context: Context, task: Task) -> EngineRun:
        """From the first result to the last."""
        with ExitStack() as stack:
            _, settings = stack.enter_context(_stream(context, task, kafka__readings=task.topic))
            topic = _group_topic(settings)
            create_topic(settings.kafka, topic, settings.kafka.partitions, settings.kafka.replication)
            stamp(settings, topic)
            groups = stack.enter_context(group_results(settings, topic, task.groups, task.workload.members))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with self._running(settings, task, folder) as process:
                wait_for(settings, len(task.expected.rows), lambda: _must_run(process, self.name))
                last = groups.wait(lambda: _must_run(process, self.name))
            found = collect(settings)
        return EngineRun(found.rows, task.expected.behind_first / (max(found.last, last) - found.first))

    @property
    def folder(self) -> Path:
        """Its source."""
        return PEERS / self.name

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """How it is started."""

    @contextmanager
    def _running(self, settings: Settings, task: Task, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
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
            **({"GROUP_RESULTS": _group_topic(settings)} if task.workload.groups else {}),
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
    Oda("ODA, all stores", groups=True),
    OdaCompute("ODA, compute only", groups=True),
    JavaPeer("kafka-streams", groups=True),
    PythonPeer("bytewax", groups=True),
    PythonPeer("quixstreams"),
    PythonPeer("faust", share=0.1),
)


def _group_topic(settings: Settings) -> str:
    """Where a peer writes what groups give; it goes with all that has the group's name."""
    return f"{settings.kafka.group}.groups"


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
