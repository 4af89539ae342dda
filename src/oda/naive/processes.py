"""Commands as processes of their own: the naive server, and who listens to it."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import psutil
import requests

from oda.errors import UserError
from oda.paths import BIN, ROOT
from oda.storm.sparse import ENVIRONMENT

_LIMIT_SECONDS = 120.0
"""For what takes a second, on however busy a machine."""


class Command:
    """An `oda` command that runs.

    Attributes:
        process: of it.
    """

    def __init__(self, process: psutil.Popen, said: IO[str]) -> None:
        self.process = process
        self._said = said

    def end(self) -> str:
        """Have it end as by Ctrl-C; returns what it has printed."""
        self.process.terminate()
        self.process.wait(_LIMIT_SECONDS)
        return self.text()

    def text(self) -> str:
        """What it has printed."""
        self._said.seek(0)
        return self._said.read()


@contextmanager
def running(*arguments: str) -> Iterator[Command]:
    """A command, which has ended when this has."""
    with tempfile.TemporaryFile("w+") as said:
        line = [str(BIN / "oda"), *arguments]
        process = psutil.Popen(line, cwd=ROOT, env=ENVIRONMENT, stdout=said, stderr=subprocess.DEVNULL)
        try:
            yield Command(process, said)
        finally:
            with suppress(psutil.NoSuchProcess):  # it has ended
                process.kill()
            process.wait()


class Server:
    """`oda naive serve`, as others see it."""

    def __init__(self, command: Command, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = command.process

    def sent(self) -> int:
        """How many numbers."""
        return int(self._ask()["sent"])

    def wait_for_clients(self, count: int) -> None:
        """Until so many are connected. Raises UserError when that takes too long."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while (found := self._ask()["clients"]) != count:
            if time.monotonic() > deadline:
                raise UserError(f"{found} clients instead of {count} listen to {self.url}")
            time.sleep(0.02)

    def _ask(self) -> dict[str, Any]:
        """What it says; it may be busy, or still be starting."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while True:
            try:
                return dict(requests.get(self.url, timeout=10).json())
            except requests.RequestException as error:
                if time.monotonic() > deadline:
                    raise UserError(f"no answer from `oda naive serve` at {self.url}: {error}") from None
                time.sleep(0.1)


@contextmanager
def serving(interval: float) -> Iterator[Server]:
    """A naive server on a free port, with so many seconds from one number to the next."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with running("naive", "serve", "--port", str(port), "--interval", str(interval)) as command:
        server = Server(command, port)
        server.wait_for_clients(0)  # who came before it listens would give up
        yield server
