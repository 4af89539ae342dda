"""What `oda serve` costs, and how soon viewers see what is new, without a topology: results are written by hand."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from oda.bench.load import SteadyLoad
from oda.core.kinds import ANOMALIES, Anomaly
from oda.core.reading import Reading, encode
from oda.errors import UserError
from oda.kafka import client
from oda.paths import BIN
from oda.settings import Settings, load_settings

_WATCHED = 5
"""Series of each viewer, of the 100 of the load."""

_SERIES = 100
_LOOKED_AT = 20
"""Of so many viewers one's messages are decoded: the others take theirs, and that is all."""

_ANOMALIES_A_SECOND = 50
_START_SECONDS = 120.0
_WARM_UP_SECONDS = 5.0


class Served(NamedTuple):
    """What was measured.

    `ready` is from the start until it answers and has caught up, `first` the first answer about all series, `again` the
    median of others, all in seconds. `readings` and `anomalies` are latencies in ms, from producing a reading, and from
    writing an anomaly, to a viewer's having it. `idle_mib`, `mib` are its resident memory before and with the viewers;
    `cpu` is of one core, 1 at most for one thread at a time.
    """

    ready: float
    first: float
    again: float
    readings: NDArray[np.float64]
    anomalies: NDArray[np.float64]
    messages: int
    gaps: int
    idle_mib: float
    mib: float
    cpu: float


class Asked(NamedTuple):
    """How many series the server knows, how many watch, how many readings come a second, and for how long."""

    series: int
    viewers: int
    rate: int
    seconds: float


def measure(config: Path, env: str, asked: Asked, tell: Callable[[str], None]) -> Served:
    """Measure a server of its own.

    Args:
        config, env: where the settings stand, of topics that nobody else uses.
        asked: the load.
        tell: is told what is done.
    """
    settings = load_settings(config, env)
    tell(f"writing a reading of each of {asked.series:,} series")
    _fill(settings, asked.series)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [str(BIN / "oda"), "--config", str(config), "--env", env, "serve", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        return asyncio.run(_measure(settings, port, psutil.Process(server.pid), asked, tell))
    finally:
        server.terminate()
        server.wait(timeout=30)


def _fill(settings: Settings, series: int) -> None:
    now = time.time_ns() // 1_000_000
    with closing(client.producer(settings.kafka, linger_ms=50, batch_size=2**18)) as producer:
        for number in range(series):
            reading = Reading(f"sensor-{number:06d}", now, float(number))
            producer.send(settings.kafka.readings, encode(reading), key=reading.series.encode())
        producer.flush()


async def _measure(
    settings: Settings,
    port: int,
    process: psutil.Process,
    asked: Asked,
    tell: Callable[[str], None],
) -> Served:
    url = f"http://127.0.0.1:{port}"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        tell("waiting for the server")
        ready = await _until_ready(session, process)
        times = [await _ask(session) for _ in range(20)]
        idle = process.memory_info().rss / 2**20
        tell(f"{asked.viewers} viewers, {asked.rate:,} readings a second")
        with SteadyLoad(settings, asked.rate):
            watching = [_Viewer(number) for number in range(asked.viewers)]
            tasks = [asyncio.create_task(viewer.watch(session)) for viewer in watching]
            tasks.append(asyncio.create_task(_write_anomalies(settings)))
            await asyncio.sleep(_WARM_UP_SECONDS)
            for viewer in watching:
                viewer.forget()
            before, began = process.cpu_times(), time.monotonic()
            await asyncio.sleep(asked.seconds)
            after, took = process.cpu_times(), time.monotonic() - began
            mib = process.memory_info().rss / 2**20
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return Served(
        ready,
        times[0],
        float(np.median(times[1:])),
        np.array([one for viewer in watching for one in viewer.readings]),
        np.array([one for viewer in watching for one in viewer.anomalies]),
        sum(viewer.messages for viewer in watching),
        sum(viewer.gaps for viewer in watching),
        idle,
        mib,
        (after.user + after.system - before.user - before.system) / took,
    )


async def _until_ready(session: aiohttp.ClientSession, process: psutil.Process) -> float:
    while time.time() < process.create_time() + _START_SECONDS:
        try:
            async with session.get("/ready") as answer:
                if answer.status == 200:
                    return time.time() - process.create_time()
                problems = (await answer.json())["problems"]
                if all("snapshots" in problem for problem in problems):  # without a topology there are none
                    return time.time() - process.create_time()
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise UserError(f"the server was not ready within {_START_SECONDS:.0f} s")


async def _ask(session: aiohttp.ClientSession) -> float:
    began = time.monotonic()
    async with session.get("/api/series", params={"sort": "rate", "order": "desc"}) as answer:
        await answer.read()
    took = time.monotonic() - began
    await asyncio.sleep(1.1)  # later than what is remembered for others
    return took


class _Viewer:
    """One that watches some series of the load."""

    def __init__(self, number: int) -> None:
        self.readings: list[float] = []
        self.anomalies: list[float] = []
        self.messages = self.gaps = 0
        self._looks = number % _LOOKED_AT == 0
        self._names = [f"bench-{(number * _WATCHED + more) % _SERIES}" for more in range(_WATCHED)]

    def forget(self) -> None:
        self.readings, self.anomalies, self.messages, self.gaps = [], [], 0, 0

    async def watch(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/api/live", max_msg_size=0) as socket:
            await socket.send_json({"watch": self._names})
            async for message in socket:
                self.messages += 1
                self.gaps += message.data == '{"gap":true}'
                if self._looks:
                    self._look(message.data, time.time() * 1000)

    def _look(self, text: str, now: float) -> None:
        said = json.loads(text)
        self.readings += [now - row[0] for rows in said.get("readings", {}).values() for row in rows]
        self.anomalies += [now - row["time"] for row in said.get("anomalies", ())]


async def _write_anomalies(settings: Settings) -> None:
    """As the topology's sink does; their time is when they were written."""
    with closing(client.producer(settings.kafka, enable_idempotence=True)) as producer:
        number = 0
        while True:
            await asyncio.sleep(1 / _ANOMALIES_A_SECOND)
            number += 1
            now, name = time.time_ns() // 1_000_000, f"bench-{number % _SERIES}"
            row = Anomaly(name, now, number, 9.0, 1.0, 1.0, 9, 0, "sigma/1", 99.0, 1.0, -3.0, 5.0, number, 0)
            message = msgspec.json.encode(ANOMALIES.document(settings.kafka.readings, 0, row))
            producer.send(settings.kafka.anomalies, message, key=name.encode())
