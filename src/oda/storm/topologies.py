"""Topologies on a Storm cluster: submitted and killed through streamparse's `sparse`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from oda.errors import UserError
from oda.settings import load_settings
from oda.storm.nimbus import nimbus
from oda.storm.rest import RestApi
from oda.storm.sparse import jar, sparse

TOPOLOGY = "analytics"
"""The file in `topologies/`, and the topology's name unless it is submitted under another."""

_WAIT_SECONDS = 600

_ANSWER_SECONDS = 30
"""How long nimbus may take."""


class Storm:
    """The Storm cluster of one environment of a config.json.

    Attributes:
        config: the config.json.
        api: the Storm UI's.
    """

    def __init__(self, config: Path, env: str) -> None:
        self.config = config
        self._arguments = ["--config", str(config.resolve()), "-e", env]
        section = json.loads(config.read_text())["envs"][env]
        security = load_settings(config, env).storm.security
        host, _, port = section["nimbus"].partition(":")
        self._nimbus = host, int(port or 6627), _ANSWER_SECONDS
        self.api = RestApi(host, section.get("ui.port", 8080), security)

    def names(self) -> list[str]:
        """Of all topologies that there are. Raises UserError or requests' errors."""
        return [topology["name"] for topology in self.api.ask("topology/summary")["topologies"]]

    def sparse(self, command: str, *arguments: str) -> str:
        """Run a sparse command on this cluster; returns what it printed. Raises UserError."""
        return sparse(command, *self._arguments, *arguments)

    def submit(self, name: str, *options: str, topology: str = TOPOLOGY, force: bool = False) -> None:
        """Submit a topology, by its file in `topologies/`; returns when it has a worker. Raises UserError.

        Options as `topology.workers=2`. With `force` one of that name is killed first, else there must be none.
        """
        chosen = [part for option in options for part in ("-o", option)] + ["--force"] * force
        self.sparse("submit", "--local_jar_path", str(jar()), "-n", topology, "-N", name, *chosen)
        self._wait(lambda: self.api.has_worker(name), f"topology {name} got no worker")

    def kill(self, name: str) -> None:
        """Kill a topology; returns when it is gone. Raises UserError."""
        self.sparse("kill", "-n", name, "--wait", "1")
        self._wait(lambda: self.api.topology_id(name) is None, f"topology {name} was not killed")

    def spread(self, workers: int) -> None:
        """Deal out every topology anew, over so many workers each; returns at once, and nimbus does it."""
        from streamparse.thrift import RebalanceOptions

        names = self.names()
        with nimbus(*self._nimbus) as service:
            for name in names:
                service.rebalance(name, RebalanceOptions(wait_secs=1, num_workers=workers))

    def deactivate(self, name: str) -> None:
        """Let the spouts of a running topology emit nothing."""
        with nimbus(*self._nimbus) as service:
            service.deactivate(name)

    def activate(self, name: str) -> None:
        """Let the spouts go on."""
        with nimbus(*self._nimbus) as service:
            service.activate(name)

    @contextmanager
    def running(self, name: str, *options: str, topology: str = TOPOLOGY) -> Iterator[None]:
        """Submit at the start, kill at the end; options as of `submit`."""
        try:
            self.submit(name, *options, topology=topology)  # which may be done, and yet be ended before it returns
            yield
        except BaseException:
            with suppress(UserError, requests.RequestException):  # a Storm that is down must not hide what went wrong
                self.kill(name)
            raise
        self.kill(name)

    @staticmethod
    def _wait(true: Callable[[], bool], message: str) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise UserError(f"{message} within {_WAIT_SECONDS} s; see the Storm UI and the supervisor's log")
            time.sleep(0.2)
