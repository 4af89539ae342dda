"""The running system as the tests see it."""

import functools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from oda.isolated import isolated
from oda.paths import BIN, ROOT
from oda.settings import Settings, load_settings
from oda.storm.sparse import ENVIRONMENT, building
from oda.storm.topologies import Storm

HANG_SECONDS = 600
"""No condition that comes at all takes so long to come, on however busy a machine: who waited for it hangs."""

HEARS_CTRL_C = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
"""For a child: a shell that runs the tests in the background has made them, and so the child, deaf to it."""

ENV = ENVIRONMENT | {"COLUMNS": "160", "TERM": "dumb", "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""Of commands, and of the servers that one of them starts: for some minutes these would compile more than they work."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster, seen through one config.json."""

    config: Path
    env: str = "local"

    @property
    def settings(self) -> Settings:
        return load_settings(self.config, self.env)

    @property
    def storm(self) -> Storm:
        return Storm(self.config, self.env)

    def oda(self, *args: object, check: bool = True, **kwargs) -> subprocess.CompletedProcess:
        """Run an oda command against this cluster."""
        command = [str(BIN / "oda"), "--config", str(self.config), "--env", self.env, *map(str, args)]
        options = {"cwd": ROOT, "env": ENV, "capture_output": True, "text": True, "timeout": HANG_SECONDS} | kwargs
        done = subprocess.run(command, **options)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def isolated(self, folder: Path, **options: object) -> "Cluster":
        """The same servers with topics, tables and indices of its own; options as `window__size_ms=1000`."""
        return Cluster(isolated(self.config, self.env, folder, **options), self.env)

    @contextmanager
    def topology(self) -> Iterator[str]:
        """Run the topology under a name of its own."""
        name = self.settings.kafka.group
        with self.storm.running(name):
            yield name

    @contextmanager
    def in_one_process(self) -> Iterator[None]:
        """`sparse run`, ended by Ctrl-C, which a terminal sends to all that it has started."""
        command = [BIN / "sparse", "run", "--config", self.config, "-e", self.env]
        with ExitStack() as stack:
            with building():  # until its components run: Storm unpacks the jar for them
                run = stack.enter_context(
                    subprocess.Popen(command, cwd=ROOT, env=ENV, start_new_session=True, preexec_fn=HEARS_CTRL_C)
                )
                stack.callback(_interrupt, run)
                wait_until(lambda: _runs_components(run), "no component runs")
            yield

    def verify(self) -> None:
        """Everything is drained and the audit finds no difference."""
        done = self.oda("verify", "--wait", HANG_SECONDS, timeout=2 * HANG_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _interrupt(run: subprocess.Popen) -> None:
    assert run.poll() is None, "it ended by itself"
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(HANG_SECONDS) == -signal.SIGINT
    wait_until(lambda: not group(run.pid), lambda: f"it left processes behind: {group(run.pid)}")


def _runs_components(run: subprocess.Popen) -> bool:
    assert run.poll() is None, "it ended by itself"
    with suppress(psutil.NoSuchProcess):
        return any("streamparse_run" in " ".join(process.cmdline()) for process in group(run.pid))
    return False


def group(leader: int) -> list[psutil.Process]:
    """The living processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(true, message: str | Callable[[], str]):
    """Poll until a function returns something true, and return that; a message may be one of then."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.2)
    return pytest.fail(message if isinstance(message, str) else message())


def config_of_nobody(folder: Path) -> Path:
    """A config.json of servers that are not there, whatever runs on this machine."""
    config = json.loads((ROOT / "config.json").read_text())
    options = config["envs"]["local"]["options"]
    options["oda.kafka.brokers"] = options["oda.cassandra.hosts"] = f"127.0.0.1:{free_port()}"
    options["oda.elasticsearch.urls"] = f"http://127.0.0.1:{free_port()}"
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def secret(folder: Path, name: str) -> Path:
    """A file with a password."""
    path = folder / f"{name}.password"
    path.write_text(f"{name}-secret\n")
    path.chmod(0o600)
    return path
