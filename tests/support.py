"""The running system as the tests see it."""

import functools
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from oda.isolated import isolated
from oda.paths import BIN, ROOT
from oda.settings import Settings, load_settings
from oda.storm.sparse import ENVIRONMENT
from oda.storm.topologies import Storm

HANG_SECONDS = 600
"""No condition that comes at all takes so long to come, on however busy a machine: who waited for it hangs."""

HEARS_CTRL_C = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
"""For a child: a shell that runs the tests in the background has made them, and so the child, deaf to it."""

ENV = ENVIRONMENT | {"COLUMNS": "160", "TERM": "dumb"}


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
        command = [str(BIN / "oda"), "--config", str(self.config), *map(str, args)]
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

    def verify(self) -> None:
        """Everything is drained and the audit finds no difference."""
        done = self.oda("verify", "--wait", HANG_SECONDS, timeout=2 * HANG_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def wait_until(true, message: str | Callable[[], str]):
    """Poll until a function returns something true, and return that; a message may be one of then."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.2)
    return pytest.fail(message if isinstance(message, str) else message())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
