"""What `oda notify` costs, and how soon a webhook is told, without a topology: incidents are written by hand."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from oda.bench.load import SteadyLoad
from oda.core.incidents import Change
from oda.core.kinds import INCIDENTS, Incident
from oda.errors import UserError
from oda.kafka import client
from oda.paths import BIN
from oda.settings import Settings, load_settings

_START_SECONDS = 300.0


class Asked(NamedTuple):
    """Readings a second; incidents a second that open; changes that the topic has before; how long each part takes."""

    rate: int
    incidents: int
    before: int
    seconds: float


class Notified(NamedTuple):
    """What was measured.

    `ready` is from the start until the first notification, seconds, with all that was before in the topic. `idle` and
    `busy` are of one core: while only readings come, and while incidents open, too. `latency` is from writing an
    incident to the webhook's having it, ms.
    """

    ready: float
    idle: float
    busy: float
    latency: NDArray[np.float64]
    mib: float


class _Webhook:
    """Notes when it was told of which."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now = time.time()
                told.update((one["series"], now) for one in content["notifications"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, series: str) -> None:
        """Until it was told of an incident of a series."""
        deadline = time.monotonic() + _START_SECONDS
        while series not in self.told:
            if time.monotonic() > deadline:
                raise UserError(f"no notification within {_START_SECONDS:.0f} s")
            time.sleep(0.01)


def measure(config: Path, env: str, asked: Asked, tell: Callable[[str], None]) -> Notified:
    """Measure a notifier of its own.

    Args:
        config, env: where the settings stand, of topics that nobody else uses.
        asked: the load.
        tell: is told what is done.
    """
    settings, hook = load_settings(config, env), _Webhook()
    file = config.with_name("notify.yaml")
    url = f"http://127.0.0.1:{hook.server.server_port}/"
    receiver = {"name": "bench", "webhook": {"url": url}}
    routes, standstill = [{"to": ["bench"]}], {"after": "1d"}  # there is no topology
    file.write_text(json.dumps({"receivers": [receiver], "routes": routes, "standstill": standstill}))
    command = [str(BIN / "oda"), "--config", str(config), "--env", env, "notify", "run", str(file)]
    with closing(client.producer(settings.kafka)) as producer:
        write = _Writer(settings, producer)
        tell(f"writing {asked.before:,} changes of incidents that are over")
        write.history(asked.before)
        began = time.monotonic()
        with _running(command) as process:
            tell("waiting for the first notification")
            while not hook.told:  # one that is written before it begins is none of its business
                write.open("first")
                time.sleep(0.1)
            ready = time.monotonic() - began
            with SteadyLoad(settings, asked.rate):
                time.sleep(5)
                tell(f"{asked.rate:,} readings a second, no incident")
                with _cpu(process) as idle:
                    time.sleep(asked.seconds)
                tell(f"{asked.rate:,} readings, {asked.incidents} incidents a second")
                with _cpu(process) as busy:
                    sent = write.steadily(asked.incidents, asked.seconds)
                hook.wait(max(sent, key=sent.__getitem__))
            mib = process.memory_info().rss / 2**20
    latency = np.array([1000 * (hook.told[series] - at) for series, at in sent.items()])
    return Notified(ready, idle[0], busy[0], latency, mib)


@contextmanager
def _running(command: list[str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def _cpu(process: psutil.Process) -> Iterator[list[float]]:
    """The share of a core that it takes meanwhile."""
    before, began, found = process.cpu_times(), time.monotonic(), [0.0]
    yield found
    after, took = process.cpu_times(), time.monotonic() - began
    found[0] = (after.user + after.system - before.user - before.system) / took


class _Writer:
    """Writes incidents as the topology's sink does."""

    def __init__(self, settings: Settings, producer: Any) -> None:
        self._settings = settings.kafka
        self._producer = producer
        self._offset = 0

    def open(self, series: str) -> None:
        """One that opens."""
        self._offset += 1
        self._send(series, 0)
        self._producer.flush()

    def history(self, changes: int) -> None:
        """Incidents that open and are resolved."""
        for _ in range(changes // 2):
            self._offset += 1
            for number in (0, 1):
                self._send(f"past-{self._offset}", number)
        self._producer.flush()

    def steadily(self, rate: int, seconds: float) -> dict[str, float]:
        """Incidents that open, and when (epoch seconds) each was written."""
        sent: dict[str, float] = {}
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if len(sent) < passed * rate:
                series = f"bench-{len(sent)}"
                sent[series] = time.time()
                self.open(series)
            else:
                time.sleep(0.002)
        return sent

    def _send(self, series: str, number: int) -> None:
        now = time.time_ns() // 1_000_000
        what: Change = "resolved" if number else "opened"
        row = Incident(
            series, now, self._offset, "sigma/1", number, what, "data", "warning", now, self._offset, 3, now, now,
            9.25, 58.3, 3.25, 1.25, 5.25, '{"team": "water"}', 1,
        )  # fmt: skip
        message = msgspec.json.encode(INCIDENTS.document(self._settings.readings, 0, row))
        self._producer.send(self._settings.incidents, message, key=series.encode())
