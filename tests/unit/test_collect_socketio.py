"""The Socket.IO collector and its server: whom it trusts, what it says of itself, and what it does in a flood."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import socketio
from aiohttp import web

from oda.cluster.certificates import Authority
from oda.collect import subscriber
from oda.collect.check import Check
from oda.collect.intake import Intake
from oda.collect.spool import Spool
from oda.collect.subscriber import Subscriber
from oda.collect.upstream import Upstream
from oda.errors import UserError
from support import HANG_SECONDS, free_port

TOKEN = "0123456789abcdef"


def reading(number: int) -> dict:
    return {"series": "pump-7", "time": 1732300000123 + number, "value": number / 8}


@pytest.fixture
def intake(tmp_path):
    with Spool(tmp_path / "spool", "readings", 64 * 2**20) as spool:
        yield Intake(spool, SimpleNamespace(away=""), Check(86_400_000))


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    authority.sign("server")
    authority.sign("expired", days=-1)
    authority.sign("elsewhere", ["elsewhere.example"])
    return authority


class Emitter:
    """A Socket.IO server that lets in who says its token, in the header and in the handshake."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, token: str | None = None) -> None:
        self.socket = socketio.AsyncServer(async_mode="aiohttp")
        self.socket.on("connect", self._connected)
        self.token = token
        self._port, self._tls = port, tls

    async def _connected(self, _: str, environment: dict, auth: dict | None = None) -> None:
        said = {environment.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer "), (auth or {}).get("token")}
        if self.token and said != {self.token}:
            raise socketio.exceptions.ConnectionRefusedError("no such token here")

    async def __aenter__(self) -> "Emitter":
        application = web.Application()
        self.socket.attach(application)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.shutdown()
        await self._runner.cleanup()


@asynccontextmanager
async def subscribed(intake: Intake, upstream: Upstream) -> AsyncIterator[Subscriber]:
    found = Subscriber(intake, upstream, "reading")
    running = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def run(scene) -> None:
    asyncio.run(asyncio.wait_for(scene(), HANG_SECONDS))


def shown(pki: Authority, name: str = "server") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.folder / f"{name}.pem", pki.folder / f"{name}.key")
    return context


def test_it_says_its_token_to_a_server_that_it_trusts_and_says_another_when_that_is_changed(
    intake, pki, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(subscriber, "FIRST_DELAY", 0.05)
    file, port = tmp_path / "token", free_port()
    file.write_text("wrong\n")
    heard = []

    async def scene():
        upstream = Upstream(f"https://127.0.0.1:{port}", pki.pem, file)
        upstream.check()
        async with Emitter(port, shown(pki), TOKEN) as emitter, subscribed(intake, upstream):
            await until(lambda: "no such token here" in heard_so_far(heard, capsys))
            file.write_text(TOKEN + "\n")
            await until(lambda: "connected to" in heard_so_far(heard, capsys))
            await emitter.socket.emit("reading", reading(1))
            await until(lambda: len(intake.spool) == 1)

    run(scene)
    refused, connected, *_ = "".join(heard).splitlines()
    assert refused == f"oda: can't connect to https://127.0.0.1:{port}: no such token here; trying on"
    assert connected == f"oda: connected to https://127.0.0.1:{port}"


def heard_so_far(heard: list[str], capsys) -> str:
    heard.append(capsys.readouterr().err)
    return "".join(heard)


@pytest.mark.parametrize(
    ("name", "authority", "says"),
    [
        ("server", "other", "--ca = {ca} does not know who signed it"),
        ("expired", "ca", "it, or its authority's, has expired"),
        ("elsewhere", "ca", "it is not of 127.0.0.1, but of another name"),
        (None, "ca", "does not speak TLS, and --ca says that it should"),
    ],
)
def test_a_server_that_it_does_not_trust_is_told_no_token(intake, pki, tmp_path, capsys, name, authority, says):
    ca = pki.pem if authority == "ca" else Authority(tmp_path / "other", "other").pem
    file, port, heard = tmp_path / "token", free_port(), []
    file.write_text(TOKEN)

    async def scene():
        url = f"https://127.0.0.1:{port}"
        async with Emitter(port, shown(pki, name) if name else None) as emitter:
            async with subscribed(intake, Upstream(url, ca, file)):
                await until(lambda: "trying on" in heard_so_far(heard, capsys))
            assert not list(emitter.socket.manager.get_namespaces())

    run(scene)
    (line,) = "".join(heard).splitlines()
    assert line.startswith(f"oda: can't connect to https://127.0.0.1:{port}: 127.0.0.1:{port} ")
    assert says.format(ca=ca) in line
    assert TOKEN not in line


def test_mistakes_are_told_before_it_connects(pki, tmp_path):
    missing = tmp_path / "missing"
    for upstream, says in (
        (Upstream("localhost:5000"), "is no URL of a Socket.IO server"),
        (Upstream("http://localhost:5000", pki.pem), "--ca is for URLs that begin with https://"),
        (Upstream("http://example.org", token_file=pki.pem), "--token-file: on its way to http://example.org a token"),
        (Upstream("https://localhost", missing), f"--ca = {missing}: No such file or directory"),
        (Upstream("https://localhost", pki.folder / "server.key"), "holds nothing of that kind in PEM"),
        (Upstream("https://localhost", token_file=missing), f"--token-file: a secret is to be in the file {missing}"),
    ):
        with pytest.raises(UserError) as raised:
            upstream.check()
        assert says in str(raised.value)


def test_in_a_flood_it_disconnects_until_what_came_is_on_disk(intake, monkeypatch, capsys):
    monkeypatch.setattr(subscriber, "MOST_WAITING", 10)
    monkeypatch.setattr(subscriber, "FIRST_DELAY", 0.05)
    is_slow, port, heard = asyncio.Event(), free_port(), []

    async def scene():
        async with Emitter(port) as emitter, subscribed(intake, Upstream(f"http://127.0.0.1:{port}")) as found:
            append = found._together._append

            async def slowly(messages):
                await is_slow.wait()
                await append(messages)

            found._together._append = slowly
            await until(lambda: "connected to" in heard_so_far(heard, capsys))
            for number in range(100):
                await emitter.socket.emit("reading", reading(number))
            await until(lambda: "disconnected from" in heard_so_far(heard, capsys))
            waiting = found._together.waiting
            assert 10 < waiting <= 100
            assert len(intake.spool) == 0
            is_slow.set()
            await until(lambda: heard_so_far(heard, capsys).count("\noda: connected to") == 1)
            assert len(intake.spool) >= waiting

    run(scene)
    values = [json.loads(message)["value"] for _, message in intake.spool.read(0, 1000)]
    assert values == [number / 8 for number in range(len(values))]
