"""The naive program: it judges as it says, rests while nobody listens, and whoever speaks Socket.IO can listen."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import socketio
from aiohttp import ClientSession, web

from oda.collect.walk import Walk
from oda.errors import UserError
from oda.naive.server import Server
from oda.naive.watcher import Average, Strange, Watcher, watch
from support import HANG_SECONDS, free_port

LISTEN = Path(__file__).parent.parent / "javascript/listen.mjs"

WALK = [step.step() for step in [Walk(Random(1))] for _ in range(1000)]


def said(values: list[float], interval: float = 0.5) -> list[Average | Strange]:
    watcher = Watcher()
    return [one for at, value in enumerate(values) for one in watcher.take(value, 100 + at * interval)]


def test_sigma_is_that_of_the_newest_average_and_of_no_other() -> None:
    found = said([0.0, 200.0, 0.0, 200.0, 1.0, 1.5, 1.0, 1.5, 1.25, 2.5, 9.0, 1.0, 9.0])
    assert [one for one in found if isinstance(one, Average)] == [
        Average(4, 100.0, 100.0),
        Average(4, 1.25, 0.25),
        Average(4, 3.4375, pytest.approx(3.2614, abs=1e-3)),
    ]
    assert [one.value for one in found if isinstance(one, Strange)] == [2.5, 9.0]


def test_one_number_is_no_average_to_judge_by() -> None:
    assert said([1.0, 50.0, 50.0], interval=2.0) == [Average(1, 1.0, 0.0), Average(1, 50.0, 0.0)]


@asynccontextmanager
async def serving(interval: float = 0.001) -> AsyncIterator[tuple[Server, str]]:
    server, port = Server(Random(1), interval), free_port()
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    running = asyncio.create_task(server.run())
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        running.cancel()
        await runner.cleanup()


async def until(true: Any) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not true():
            await asyncio.sleep(0.01)


def test_it_rests_while_nobody_is_connected_whoever_came_and_went_before() -> None:
    async def run() -> None:
        async with serving() as (server, url), ClientSession() as session:
            assert server.sent == 0
            for _ in range(2):
                clients = [socketio.AsyncClient(), socketio.AsyncClient()]
                got: list[float] = []
                clients[0].on("walk", got.append)
                for client in clients:
                    await client.connect(url)
                before = server.sent
                await until(lambda: len(got) >= 10)  # noqa: B023
                await clients[0].disconnect()
                await until(lambda: len(server.clients) == 1)
                before = server.sent
                await until(lambda: server.sent > before + 5)  # noqa: B023 - one is still there
                await clients[1].disconnect()
                await until(lambda: not server.clients)
                await asyncio.sleep(0.05)  # what was being sent then is
                before = server.sent
                await asyncio.sleep(0.2)
                assert server.sent == before
                assert set(got) <= set(WALK)
            async with session.get(url) as answer:
                assert await answer.json() == {"sent": server.sent, "clients": 0}

    asyncio.run(run())


def test_a_watcher_says_what_it_sees_until_the_server_is_gone() -> None:
    found: list[Average | Strange] = []

    async def run() -> None:
        async with serving() as (_, url):
            watching = asyncio.create_task(watch(url, found.append))
            await until(lambda: sum(isinstance(one, Average) for one in found) == 2)
        await watching

    asyncio.run(run())
    averages = [one for one in found if isinstance(one, Average)]
    assert all(one.numbers > 10 for one in averages)


def test_a_watcher_of_nothing_is_told_so() -> None:
    with pytest.raises(UserError, match="is `oda naive serve` running"):
        asyncio.run(watch(f"http://127.0.0.1:{free_port()}", print))


@pytest.mark.parametrize("client", ["python", *(["javascript"] if shutil.which("node") else [])])
def test_the_public_clients_of_socketio_can_listen(client: str) -> None:
    """That of JavaScript where there is Node.js: no test is to need that it is installed."""

    async def with_python(url: str) -> list[float]:
        got: list[float] = []
        listener = socketio.AsyncClient()
        listener.on("walk", got.append)
        await listener.connect(url)
        await until(lambda: len(got) >= 50)
        await listener.disconnect()
        return got

    async def with_javascript(url: str) -> list[float]:
        command = ["node", str(LISTEN), url, "50"]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=HANG_SECONDS, check=True
        )
        return json.loads(done.stdout)

    async def run() -> list[float]:
        async with serving() as (_, url):
            return await (with_python if client == "python" else with_javascript)(url)

    got = asyncio.run(run())
    assert len(got) >= 50
    first = WALK.index(got[0])
    assert got == WALK[first : first + len(got)]
