"""Topologies on a Storm cluster, through streamparse's `sparse` and the Storm UI's REST API."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from oda.errors import UserError
from oda.stores.catalogue import STORES

ROOT = Path(__file__).parents[2]
"""The repository's root: `sparse` works nowhere else."""

TOPOLOGY = "analytics"
"""The file in `topologies/`, and the topology's name unless it is submitted under another."""

BIN = Path(sys.executable).parent

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _no_proxy(environment: Mapping[str, str]) -> str:
    """A proxy is for the world, not for this machine."""
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return named if named == "*" else ",".join([*_LOOPBACK, *filter(None, [named])])


ENVIRONMENT = os.environ | {
    "LEIN_ROOT": "1",
    "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    "no_proxy": _no_proxy(os.environ),
}
"""What `sparse` needs: the commands beside our Python, Leiningen's leave to run as root, and a way to the Storm UI."""

_WAIT_SECONDS = 600


def isolated(config: Path, env: str, folder: Path, **options: object) -> Path:
    """Write a config.json for the same servers with topics, tables and indices of its own.

    Options are named as `window__size_ms=1000`. The topology's name is the group's.
    """
    name = "t" + secrets.token_hex(4)
    content = json.loads(config.read_text())
    own = {
        f"oda.{store.name}.{setting}": pattern.format(name=name)
        for store in STORES
        for setting, pattern in store.own.items()
    }
    chosen = {"oda." + option.replace("__", "."): value for option, value in options.items()}
    source = {"oda.kafka.group": name, "oda.kafka.readings": f"{name}.readings"}
    content["envs"][env]["options"] |= source | own | chosen
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


class Storm:
    """The Storm cluster of one environment of a config.json.

    Attributes:
        ui: the Storm UI's address.
    """

    def __init__(self, config: Path, env: str) -> None:
        self._arguments = ["--config", str(config.resolve()), "-e", env]
        section = json.loads(config.read_text())["envs"][env]
        host = section["nimbus"].partition(":")[0]
        self.ui = f"http://{host}:{section.get('ui.port', 8080)}"
        self._http = requests.Session()
        self._http.trust_env = host not in _LOOPBACK  # nor asks a proxy that the environment names

    def sparse(self, command: str, *arguments: str) -> str:
        """Run a sparse command; returns what it printed.

        Raises:
            UserError: it failed.
        """
        line = [str(BIN / "sparse"), command, *self._arguments, *arguments]
        done = subprocess.run(line, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"sparse {command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def ask(self, path: str) -> Any:
        """An answer of the Storm UI's REST API, such as `topology/summary`."""
        return self._http.get(f"{self.ui}/api/v1/{path}", timeout=30).json()

    def topology_id(self, name: str) -> str | None:
        """The id of a running topology, or None."""
        return next((row["id"] for row in self.ask("topology/summary")["topologies"] if row["name"] == name), None)

    def submit(self, name: str, *options: str, topology: str = TOPOLOGY) -> None:
        """Submit a topology, by its file in `topologies/`; returns when it has a worker. Raises UserError.

        Options as `topology.workers=2`.
        """
        chosen = [part for option in options for part in ("-o", option)]
        self.sparse("submit", "-n", topology, "-N", name, *chosen)
        self._wait(lambda: self._has_worker(name), f"topology {name} got no worker")

    def kill(self, name: str) -> None:
        """Kill a topology; returns when it is gone. Raises UserError."""
        self.sparse("kill", "-n", name, "--wait", "1")
        self._wait(lambda: self.topology_id(name) is None, f"topology {name} was not killed")

    def deactivate(self, name: str) -> None:
        """Let the spouts of a running topology emit nothing."""
        self._tell(name, "deactivate")

    def activate(self, name: str) -> None:
        """Let the spouts go on."""
        self._tell(name, "activate")

    @contextmanager
    def running(self, name: str, *options: str, topology: str = TOPOLOGY) -> Iterator[None]:
        """Submit at the start, kill at the end; options as of `submit`."""
        self.submit(name, *options, topology=topology)
        try:
            yield
        except BaseException:
            with suppress(UserError, requests.RequestException):  # a Storm that is down must not hide what went wrong
                self.kill(name)
            raise
        self.kill(name)

    def _tell(self, name: str, what: str) -> None:
        url = f"{self.ui}/api/v1/topology/{self.topology_id(name)}/{what}"
        self._http.post(url, timeout=30).raise_for_status()

    def _has_worker(self, name: str) -> bool:
        found = self.topology_id(name)
        return found is not None and bool(self.ask(f"topology/{found}")["workers"])

    @staticmethod
    def _wait(true: Any, message: str) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise UserError(f"{message} within {_WAIT_SECONDS} s; see the Storm UI and the supervisor's log")
            time.sleep(0.2)
