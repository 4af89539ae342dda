"""The server: who may ask, what it answers, and what a browser may do with it. Stores and Kafka are stand-ins."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from test_verdicts import change, verdict
from typer.testing import CliRunner

from made import settings
from oda.cli.main import app as command
from oda.core.batch import Readings
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS, Anomaly, ClosedWindow, Document, Kind, Located
from oda.core.reading import Reading
from oda.errors import UserError
from oda.query.feed import News, now_ms
from oda.query.incidents import place_of
from oda.query.positions import Position, RejectedMessage, RejectedMessages
from oda.query.storm import Component, StormState, Topology
from oda.serve import push
from oda.serve.app import application
from oda.serve.guard import COOKIE, HEADERS, Guard, _signature
from oda.serve.push import QUEUE_BYTES
from oda.serve.service import Service
from oda.settings import Window
from oda.stores.archive import Columns
from oda.verdicts import Verdict
from oda.web.tokens import Tokens, read_tokens
from oda.web.where import Where

TOKEN = "0123456789abcdef"
TOKENS = Tokens(lambda: f"ann {TOKEN}\nbob fedcba9876543210", "a test")
TLS = Path(__file__).parent / "tls"

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\u202egnp.exe",
    "a\x00b\x1b[2J",
    "\u2028\u2029",
    "{{7*7}}${7*7}",
    "'; DROP TABLE windows; --",
    "../../etc/passwd",
    "%00%0d%0aSet-Cookie:x=1",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 249,
    *(f"<{tag} onload=alert({number})>" for number, tag in enumerate(["svg", "body", "iframe", "a", "style"] * 18)),
]


class Store:
    """Stands for Cassandra: one series, a reading a second, windows of ten seconds."""

    def __init__(self, begin: int, count: int = 100) -> None:
        self.begin, self.count = begin, count
        self.asked: list[tuple[int, int]] = []
        self.incidents: list[Located] = []

    def recent(self, kind: Kind, series: str, since: int, until: int) -> Iterator[Document]:
        if kind is WINDOWS and series == "pump":
            for first in range(0, self.count - 10, 10):
                start = self.begin + 1000 * first
                row = ClosedWindow(series, start, start + 10_000, 10, 5.0, 1.0, first, first + 9, first + 10, "data", 0)
                if since <= start < until:
                    yield WINDOWS.document("readings", 2, row)
        if kind is INCIDENTS:
            yield from (INCIDENTS.document(*one) for one in self.incidents if since <= one.row.time < until)
        if kind is ANOMALIES and series == "pump" and since <= self.begin + 50_000 < until:
            baseline = 5.0, 1.0, 10, self.begin + 40_000
            row = Anomaly(series, self.begin + 50_000, 50, 99.0, *baseline, "sigma/1", 99.0, 5.0, 1.0, 9.0, 50, 0)
            yield ANOMALIES.document("readings", 2, row)

    def archived(self, series: str, partition: int, since: int, until: int) -> Iterator[Columns]:
        assert until - since <= 288 * 600_000
        self.asked.append((since, until))
        if series == "pump" and partition == 2:
            rows = Readings.of(
                range(self.count),
                [Reading(series, self.begin + 1000 * at, 99.0 if at == 50 else 5.0) for at in range(self.count)],
            )
            there = (since <= rows.times) & (rows.times < until)
            yield Columns(rows.offsets[there], rows.times[there], rows.values[there])

    def close(self) -> None:
        pass


class Verdicts:
    """Stands for the topic of verdicts."""

    def __init__(self) -> None:
        self.written: list[Verdict] = []

    def write(self, verdict: Verdict) -> None:
        self.written.append(verdict)

    def close(self) -> None:
        pass


class Idle:
    """Stands for what a thread asks for again and again."""

    def __init__(self, value: Any = None, problem: str | None = None) -> None:
        self.value, self.problem = value, problem
        self.is_live = True

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


class System:
    """A server without servers.

    `hear` tells it what the feed would.
    """

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.begin = now_ms() // 600_000 * 600_000 - 3_600_000
        self.service = service = Service(settings(window=Window(size_ms=10_000)), StormState(None, "analytics"))
        self.store = Store(self.begin)
        service.history._store = self.store
        service.verdicts.close()
        service.verdicts = self.verdicts = Verdicts()
        service.rules._read_at = float("inf")  # what is known is new enough
        service.feed = Idle()
        service.positions = Idle([Position(2, 100, 90, 10, 1.5, 1.0, 0.0)])
        service.members = Idle([Position(1, 20, 13, 7, 0.5, 1.0, 0.0)])
        service.snapshots = Idle({2: now_ms() - 2_000})
        service.storm = Idle(
            Topology("ACTIVE", "http://storm/", [Component("cassandra", 1, 5, 0, 1.0, "no answer <b>")])
        )
        rejected = RejectedMessage(2, 7, "not JSON <b>", b"\xff", b"<script>alert(1)</script>\x00")
        service.rejected = Idle(RejectedMessages(1, [rejected], [("not JSON", 1)]))
        self.guard = Guard(Where("127.0.0.1", 0, tokens=tokens))
        self.app = application(service, self.guard)

    def hear(self, **news: Any) -> None:
        self.service._take(News(True, **news))

    def hear_readings(self, *names: str) -> None:
        now = now_ms()
        readings = [Reading(name, now, float(number)) for number, name in enumerate(names)]
        self.hear(readings=[(2, Readings.of(range(len(names)), readings), now)])


@asynccontextmanager
async def client_of(system: System, **options: Any):
    async with TestClient(TestServer(system.app), **options) as client:
        yield client


def play(scene: Callable[..., Awaitable[None]], tokens: Tokens | None = None) -> None:
    async def run() -> None:
        system = System(tokens)
        async with client_of(system) as client:
            await scene(system, client)

    asyncio.run(run())


async def watching(system: System, client: TestClient, *names: str, more: int = 0) -> aiohttp.ClientWebSocketResponse:
    """A viewer; returns when the server knows what it watches, and `more` others."""
    socket = await client.ws_connect("/api/live", max_msg_size=0)
    await socket.send_json({"watch": names})
    while sum(viewer.watched == frozenset(names) for viewer in system.service.hub.viewers) <= more:
        await asyncio.sleep(0.01)
    return socket


async def asked(client: TestClient, path: str, status: int = 200, **params: Any) -> Any:
    async with client.get(path, params=params) as answer:
        text = await answer.text()
        assert answer.status == status, text
        assert answer.content_type == "application/json"
        return json.loads(text)


# -- what every answer has ------------------------------------------------------------------------


def test_every_answer_has_the_headers_that_bind_a_browser():
    async def scene(_, client):
        for path in ("/", "/api/series", "/api/none", "/none", "/api/series/data", "/metrics", "/health", "/page/none"):
            async with client.get(path) as answer:
                await answer.read()
                for name, value in HEADERS.items():
                    assert answer.headers[name] == value, path
        async with client.put("/api/series") as answer:
            assert answer.status == 405
            assert answer.headers["Content-Security-Policy"]

    play(scene)


def test_the_policy_allows_nothing_inline():
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy


def test_files_outside_of_the_page_are_not_there():
    async def scene(_, client):
        for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/page/"):
            async with client.get(path) as answer:
                assert answer.status in (403, 404), path

    play(scene)


def test_the_page_s_files_are_compressed_and_asked_for_again_only_when_they_changed():
    async def scene(_, client):
        async with client.get("/", headers={"Accept-Encoding": "gzip"}) as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            etag = answer.headers["ETag"]
        async with client.get("/page/index.html", headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert await answer.text() == text
        async with client.get("/", headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
            assert answer.headers["Cache-Control"] == "no-cache"

    play(scene)


# -- who may ask ----------------------------------------------------------------------------------


def test_a_page_of_another_origin_may_not_ask():
    async def scene(_, client):
        evil = {"Origin": "http://evil.example"}
        async with client.get("/api/series", headers=evil) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/api/live", headers=evil)
        async with client.post("/api/incidents/verdict", json={"place": "x"}, headers=evil) as answer:
            assert answer.status == 403
        own = {"Origin": f"http://127.0.0.1:{client.port}"}
        async with client.get("/api/series", headers=own) as answer:
            assert answer.status == 200

    play(scene)


def test_a_name_that_somebody_pointed_at_this_machine_is_not_served():
    async def scene(_, client):
        for host, status in (("evil.example", 403), (f"localhost:{client.port}", 200), ("[::1]:80", 200), ("", 403)):
            async with client.get("/api/series", headers={"Host": host}) as answer:
                assert answer.status == status, host

    play(scene)


def test_nobody_is_told_anything_without_a_token():
    async def scene(_, client):
        for path in ("/api/series", "/api/series/data", "/api/incidents", "/api/pipeline", "/api/rejected", "/metrics"):
            async with client.get(path) as answer:
                assert answer.status == 401, path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        for wrong in ("Bearer", "Bearer 0", f"Bearer {TOKEN}0", f"Basic {TOKEN}", "Bearer \xff" + TOKEN[1:]):
            async with client.get("/api/series", headers={"Authorization": wrong}) as answer:
                assert answer.status == 401, wrong
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await client.ws_connect("/api/live")
        async with client.post("/api/incidents/verdict", json={"place": "x"}) as answer:
            assert answer.status == 401
        for path in ("/", "/health", "/ready"):
            async with client.get(path) as answer:
                assert answer.status == 200, path
        assert await asked(client, "/api/me") == {"login_needed": True, "name": None}

    play(scene, TOKENS)


@pytest.mark.parametrize(
    ("line", "header", "status"),
    [
        ("GET /api/series", b"Authorization: Bearer \xff\xfe", 401),
        ("GET /api/series", b"Cookie: oda=9999999999.\xff", 401),
        ("GET /api/series", b"Origin: http://[", 403),
        ("GET /api/series", b"Origin: null", 403),
        ("GET /api/me", b"Host: [", 403),
        ("GET /api/me", b"Host: \xff", 403),
        ("GET /api/series?q=%ff%00", f"Authorization: Bearer {TOKEN}".encode(), 200),
        ("GET /api/series?q=%ed%a0%80", f"Authorization: Bearer {TOKEN}".encode(), 200),
        ("GET /api/series/data?name=%ed%a0%80&since=0&until=1", f"Authorization: Bearer {TOKEN}".encode(), 200),
    ],
)
def test_bytes_that_are_no_text_break_nothing(line, header, status, caplog):
    async def scene(_, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        host = b"" if header.startswith(b"Host") else b"Host: 127.0.0.1:%d\r\n" % client.port
        writer.write(line.encode() + b" HTTP/1.1\r\n" + host + header + b"\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        # What is no HTTP at all is refused before anybody looks at it.
        assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.1 400 ")), answer[:300]
        assert "Traceback" not in caplog.text

    play(scene, TOKENS)


def test_a_token_opens_and_a_login_makes_it_a_cookie(monkeypatch):
    monkeypatch.setattr("oda.serve.guard._WRONG_SECONDS", 0.0)

    async def scene(_, client):
        async with client.get("/api/series", headers={"Authorization": f"bearer {TOKEN}"}) as answer:
            assert answer.status == 200
        async with client.post("/api/login", json={"token": "wrong" * 5}) as answer:
            assert answer.status == 401
            assert COOKIE not in answer.cookies
        async with client.post("/api/login", json={"token": TOKEN}) as answer:
            assert answer.status == 204
            cookie = answer.cookies[COOKIE]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert TOKEN not in cookie.value
        client.session.cookie_jar.clear()
        client.session.cookie_jar.update_cookies({COOKIE: cookie.value})
        assert (await asked(client, "/api/me"))["name"] == "ann"
        await asked(client, "/api/series")

    play(scene, TOKENS)


def test_a_cookie_that_is_forged_old_or_of_a_token_that_is_gone_opens_nothing():
    until = now_ms() // 1000 + 1000
    good = f"{until}.{_signature(TOKEN, until)}"

    async def scene(_, client):
        async def status(cookie: str) -> int:
            async with client.get("/api/series", headers={"Cookie": f"{COOKIE}={cookie}"}) as answer:
                return answer.status

        assert await status(good) == 200
        for wrong in (
            "",
            "1",
            f"{until + 1}.{good.partition('.')[2]}",
            f"1.{_signature(TOKEN, 1)}",
            f"{until}.{_signature('gone' * 4, until)}",
            "9" * 400 + ".x",
        ):
            assert await status(wrong) == 401, wrong

    play(scene, TOKENS)


@pytest.mark.parametrize(
    "text", ["", "\n# none\n", "short", "a name and 0123456789abcdef", "ann short", "0123456789abcdef0 x y"]
)
def test_a_file_of_tokens_says_what_is_wrong_with_it(text):
    with pytest.raises(UserError, match="`openssl rand -hex 16` makes one"):
        read_tokens(text, "a file")


def test_tokens_have_owners():
    assert read_tokens(f"# who may look\nann {TOKEN}\n\nfedcba9876543210\n", "a file") == {
        TOKEN: "ann",
        "fedcba9876543210": "token",
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "tokens, by --token-file"),
        ({}, "and TLS, by --certificate and --key"),
        ({"tokens": TOKENS}, "lets other machines in, which takes TLS"),
        ({"certificate": TLS / "certificate.pem", "key": TLS / "key.pem"}, "takes tokens"),
    ],
)
def test_other_machines_come_in_only_with_token_and_tls(options, says):
    with pytest.raises(UserError) as raised:
        Where("0.0.0.0", 1, **options).check()
    assert says in str(raised.value)
    Where("0.0.0.0", 1, TLS / "certificate.pem", TLS / "key.pem", TOKENS).check()
    Where("127.0.0.1", 1).check()


@pytest.mark.parametrize(
    ("certificate", "key"), [("none.pem", "key.pem"), ("key.pem", "key.pem"), ("certificate.pem", "certificate.pem")]
)
def test_wrong_certificates_are_named(certificate, key):
    with pytest.raises(UserError, match=r"--certificate .*, --key "):
        Where("127.0.0.1", 1, TLS / certificate, TLS / key).context()


def test_by_tls_the_cookie_is_secure():
    async def run() -> None:
        system = System(TOKENS)
        system.guard.is_secure = True
        where = Where("127.0.0.1", 0, TLS / "certificate.pem", TLS / "key.pem", TOKENS)
        runner = web.AppRunner(system.app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=where.context())
        await site.start()
        port = runner.addresses[0][1]
        trusted = ssl.create_default_context(cafile=TLS / "certificate.pem")
        url = f"https://127.0.0.1:{port}/api/login"
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json={"token": TOKEN}, ssl=trusted) as answer:
                assert answer.status == 204
                assert answer.cookies[COOKIE]["secure"]
                assert "Strict-Transport-Security" in answer.headers
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.post(url, json={"token": TOKEN})
        await runner.cleanup()

    asyncio.run(run())


def test_the_command_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("ODA_TOKEN", raising=False)
    result = CliRunner().invoke(command, ["serve", "--host", "0.0.0.0"])
    assert "lets other machines in" in str(result.exception)
    result = CliRunner().invoke(command, ["serve", "--token-file", str(tmp_path / "none")])
    assert "--token-file" in str(result.exception)
    monkeypatch.setenv("ODA_TOKEN", "short")
    assert "ODA_TOKEN in the environment, line 1" in str(CliRunner().invoke(command, ["serve"]).exception)


# -- what it answers ------------------------------------------------------------------------------


def test_series_are_listed_whatever_they_are_called():
    async def scene(system, client):
        system.hear_readings(*HOSTILE)
        found = await asked(client, "/api/series", limit=1000)
        assert found["total"] == len(set(HOSTILE)) == len(HOSTILE)
        assert {one["name"] for one in found["series"]} == set(HOSTILE)
        one = await asked(client, "/api/series", q="</SCRIPT>")
        assert [row["name"] for row in one["series"]] == [HOSTILE[0]]
        assert one["series"][0]["state"] == "no window closed yet"
        assert one["series"][0]["last_value"] == 0.0

    play(scene)


@pytest.mark.parametrize("name", HOSTILE[:14])
def test_a_series_is_shown_whatever_it_is_called(name):
    async def scene(system, client):
        found = await asked(client, "/api/series/data", name=name, since=system.begin, until=system.begin + 60_000)
        assert found["name"] == name
        assert found["readings"] == {"times": [], "values": []}
        text = await (await client.get("/metrics", params={"series": name})).text()
        assert "oda_series_value" in text
        system.hear_readings(name)
        lines = (await (await client.get("/metrics", params={"series": name})).text()).splitlines()
        assert len([line for line in lines if line.startswith("oda_series_value{")]) == 1

    play(scene)


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("/api/series", {"limit": "0"}, "limit"),
        ("/api/series", {"limit": "1001"}, "limit"),
        ("/api/series", {"limit": "1e3"}, "limit"),
        ("/api/series", {"offset": "-1"}, "offset"),
        ("/api/series", {"offset": "9" * 5000}, "offset"),
        ("/api/series", {"sort": "shape"}, "sort must be one of"),
        ("/api/series", {"order": "up"}, "order must be one of"),
        ("/api/series/data", {"since": "0", "until": "1"}, "name"),
        ("/api/series/data", {"name": "x" * 250, "since": "0", "until": "1"}, "name"),
        ("/api/series/data", {"name": "a", "since": "5", "until": "5"}, "since must be before until"),
        ("/api/series/data", {"name": "a", "until": "5"}, "since"),
        ("/api/series/data", {"name": "a", "since": "0", "until": str(2**43)}, "until"),
        ("/api/series/data", {"name": "a", "since": "0", "until": str(2**42)}, "at most 100 days"),
        ("/api/series/data", {"name": "a", "since": "0", "until": "1", "pixels": "100000"}, "pixels"),
        ("/api/incidents", {"state": "shut"}, "state must be one of"),
        ("/api/why", {"name": "a"}, "time"),
        ("/metrics", [("series", "a")] * 101, "at most 100 series"),
    ],
)
def test_a_wrong_parameter_is_named(path, params, says):
    async def scene(_, client):
        async with client.get(path, params=params) as answer:
            assert answer.status == 400
            assert says in (await answer.json())["error"]

    play(scene)


def test_a_chart_has_readings_windows_and_the_band_that_applied_to_each():
    async def scene(system, client):
        begin = system.begin
        system.hear_readings("pump")
        found = await asked(client, "/api/series/data", name="pump", since=begin, until=begin + 100_000, pixels=1000)
        assert found["readings"]["times"] == [begin + 1000 * at for at in range(100)]
        assert found["reduced"] is None
        assert found["readings"]["values"][50] == 99.0
        assert [window[0] - begin for window in found["windows"]] == list(range(0, 90_000, 10_000))
        # A window's band applies from the record on that closed it.
        first, *_, last = found["bands"]
        assert (first["since"] - begin, first["until"] - begin) == (10_000, 20_000)
        assert (first["low"], first["expected"], first["high"]) == (1.0, 5.0, 9.0)
        assert (last["since"] - begin, last["until"] - begin) == (90_000, 99_000)
        assert [row["offset"] for row in found["anomalies"]] == [50]
        assert found["no_band"] is None or found["no_band"] == "no window closed yet"

    play(scene)


def test_a_chart_that_begins_later_has_the_band_of_the_window_before():
    async def scene(system, client):
        since = system.begin + 43_000
        found = await asked(client, "/api/series/data", name="pump", since=since, until=since + 4_000)
        assert [(one["since"] - since, one["until"] - since) for one in found["bands"]] == [(0, 3_000)]
        assert [window[0] for window in found["windows"]] == [system.begin + 40_000]

    play(scene)


def test_more_readings_than_pixels_are_means_with_least_and_largest():
    async def scene(system, client):
        begin = system.begin
        found = await asked(client, "/api/series/data", name="pump", since=begin, until=begin + 100_000, pixels=10)
        assert found["readings"] is None
        assert found["step"] == 10_000
        assert found["reduced"]["counts"] == [10] * 10
        assert found["reduced"]["highs"][5] == 99.0
        assert found["reduced"]["lows"][5] == 5.0
        assert found["reduced"]["means"][5] == pytest.approx((9 * 5 + 99) / 10)
        assert len(found["bands"]) <= 10

    play(scene)


def test_an_incident_of_long_ago_has_its_verdict():
    async def scene(system, client):
        begin = system.begin
        old = change("pump", time=begin + 5_000)
        system.store.incidents = [old]
        place = place_of(old)
        system.hear(verdicts=[verdict(place=place, verdict="true")])
        found = await asked(client, "/api/series/data", name="pump", since=begin, until=begin + 60_000)
        (incident,) = found["incidents"]
        assert incident["verdict"]["verdict"] == "true"
        assert (incident["opened"], incident["resolved"]) == (begin + 5_000, None)
        end = change("pump", time=begin + 5_000, number=1, what="resolved")
        system.hear(incidents=[old, end])
        found = await asked(client, "/api/series/data", name="pump", since=begin, until=begin + 60_000)
        (incident,) = found["incidents"]  # what is known of it later counts
        assert incident["resolved"] == begin + 5_001
        assert incident["verdict"]["verdict"] == "true"
        later = begin + 40_000
        assert (await asked(client, "/api/series/data", name="pump", since=later, until=later + 5))["incidents"] == []

    play(scene)


def test_a_store_that_is_away_is_told():
    async def scene(system, client):
        def away(*_: object) -> Iterator[Document]:
            raise UserError("no answer from Cassandra")

        system.store.recent = away
        found = await asked(client, "/api/series/data", 503, name="pump", since=0, until=1)
        assert found == {"error": "no answer from Cassandra"}

    play(scene)


def test_what_goes_wrong_is_told_without_its_details(caplog):
    async def scene(system, client):
        def wrong(*_: object) -> Iterator[Document]:
            raise RuntimeError("secret")

        system.store.recent = wrong
        found = await asked(client, "/api/series/data", 500, name="pump", since=0, until=1)
        assert "secret" not in found["error"]
        assert "secret" in caplog.text

    play(scene)


def test_an_anomaly_that_is_not_there_is_told():
    async def scene(system, client):
        found = await asked(client, "/api/why", 404, name="pump", time=system.begin)
        assert "the nearest are at" in found["error"]
        await asked(client, "/api/why", 404, name="pump", time=system.begin + 50_000, detector="other/1")
        found = await asked(client, "/api/why", name="pump", time=system.begin + 50_000, partition=2, offset=50)
        assert found["anomaly"]["value"] == 99.0
        assert found["differs"]

    play(scene)


def test_a_verdict_is_a_record_and_says_who():
    async def scene(system, client):
        system.hear(incidents=[change()])
        place = (await asked(client, "/api/incidents"))["incidents"][0]["place"]
        said = {"place": place, "acknowledged": True, "verdict": "true", "comment": HOSTILE[0]}
        async with client.post("/api/incidents/verdict", json=said) as answer:
            assert answer.status == 204
        (written,) = system.verdicts.written
        assert (written.by, written.verdict, written.comment, written.series) == ("bob", "true", HOSTILE[0], "pump")
        assert abs(written.at - now_ms()) < 60_000
        system.hear(verdicts=[written])
        (shown,) = (await asked(client, "/api/incidents"))["incidents"]
        assert shown["verdict"]["comment"] == HOSTILE[0]
        for wrong, status in (
            ({"place": "readings:0:0:none"}, 404),
            ({"place": place, "verdict": "maybe"}, 400),
            ({"place": place, "comment": "x" * 2_001}, 400),
            ({}, 400),
        ):
            async with client.post("/api/incidents/verdict", json=wrong) as answer:
                assert answer.status == status, wrong
        for data in (b"", b"[", b"\xff", b'{"place": "' + b"x" * 70_000 + b'"}'):
            headers = {"Content-Type": "application/json"}
            async with client.post("/api/incidents/verdict", data=data, headers=headers) as answer:
                assert answer.status in (400, 413), data[:20]
        async with client.post("/api/incidents/verdict", data=json.dumps(said)) as answer:
            assert answer.status == 400  # a form of another page could send it
        assert len(system.verdicts.written) == 1

    async def with_token(system, client):
        client.session.headers["Authorization"] = "Bearer fedcba9876543210"
        await scene(system, client)

    play(with_token, TOKENS)


def test_the_pipeline_is_told_and_scraped():
    async def scene(system, client):
        system.hear_readings("a", "b")
        found = await asked(client, "/api/pipeline")
        (partition,) = found["partitions"]
        assert (partition["lag"], partition["lag_seconds"]) == (10, 1.5)
        assert [(one["lag"], one["lag_seconds"]) for one in found["members"]] == [(7, 0.5)]
        assert 1 < partition["snapshot_age_seconds"] < 60
        assert {"name": "cassandra", "errors": ["no answer <b>"]} in found["stores"]
        assert found["storm"]["state"] == "ACTIVE"
        assert found["audit"] is None
        (message,) = (await asked(client, "/api/rejected"))["messages"]
        assert (message["key"], message["value"]) == ("\\xff", "<script>alert(1)</script>\\x00")
        text = await (await client.get("/metrics")).text()
        assert 'oda_partition_lag_seconds{partition="2"} 1.5' in text
        assert 'oda_members_lag_records{partition="1"} 7.0' in text
        assert 'oda_members_lag_seconds{partition="1"} 0.5' in text
        assert "oda_topology_active 1.0" in text
        assert 'oda_component_error{component="cassandra"} 1.0' in text
        assert "series=" not in text
        text = await (await client.get("/metrics", params={"series": "a"})).text()
        assert 'oda_series_value{series="a"} 0.0' in text
        assert 'series="b"' not in text
        system.service.storm.problem = "no answer"
        assert (await asked(client, "/api/pipeline"))["storm"] == {"error": "no answer"}
        assert "oda_topology_active" not in await (await client.get("/metrics")).text()

    play(scene)


def test_it_is_ready_when_it_sees_all_there_is():
    async def scene(system, client):
        assert (await asked(client, "/ready"))["problems"] == []
        system.service.feed.is_live = False
        assert (await asked(client, "/ready", 503))["problems"] == [
            "readings and results: still reading what came before the start"
        ]
        system.service.feed.problem = "Kafka is away"
        assert "Kafka is away" in (await asked(client, "/ready", 503))["problems"][0]
        assert (await asked(client, "/health"))["status"] == "lives"
        assert "oda_ready 0.0" in await (await client.get("/metrics")).text()

    play(scene)


# -- live -----------------------------------------------------------------------------------------


def test_a_viewer_sees_what_it_watches_with_the_band_and_all_incidents():
    async def scene(system, client):
        async with await watching(system, client, "pump", HOSTILE[0]) as socket:
            window = ClosedWindow("pump", 0, 10_000, 10, 5.0, 1.0, 0, 9, 10, "data", 0)
            system.hear_readings("pump", HOSTILE[0], "other")
            system.hear(windows=[Located("readings", 2, window)], incidents=[change("other")])
            said: dict[str, Any] = {}
            while "incidents" not in said:
                said |= await socket.receive_json(timeout=30)
        assert said["readings"].keys() == {"pump", HOSTILE[0]}
        assert said["windows"][0]["mean"] == 5.0
        (band,) = said["bands"]
        assert (band["series"], band["since"], band["low"], band["high"]) == ("pump", 10_000, 1.0, 9.0)
        assert said["incidents"][0]["series"] == "other"

    play(scene)


@pytest.mark.parametrize(
    "said", ["", "[]", '{"watch": 5}', json.dumps({"watch": ["a"] * 101}), "x" * 70_000, '{"watch": ["\\ud800"]}']
)
def test_who_talks_nonsense_is_shown_out(said):
    async def scene(system, client):
        async with client.ws_connect("/api/live") as socket:
            await socket.send_str(said)
            message = await socket.receive(timeout=30)
            assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        while system.service.hub.viewers:
            await asyncio.sleep(0.01)

    play(scene)


def test_a_viewer_that_went_is_forgotten():
    async def scene(system, client):
        socket = await watching(system, client, "pump")
        socket._response.connection.transport.abort()  # as a machine that lost its power, and then its connection
        while system.service.hub.viewers:
            await asyncio.sleep(0.01)
        assert not system.service.hub.is_watched("pump")

    play(scene)


def test_a_viewer_that_takes_nothing_costs_bounded_memory_and_holds_nobody_up():
    async def scene(system, client):
        slow = await watching(system, client, "pump")
        (viewer,) = system.service.hub.viewers
        quick = await watching(system, client, "pump", more=1)
        slow._response.connection.transport.pause_reading()
        rows = 0
        while not viewer.dropped:
            now = now_ms()
            some = [Reading("pump", now, float(number)) for number in range(5_000)]
            system.hear(readings=[(2, Readings.of(range(5_000), some), now)])
            system.service.hub.tick()
            said = {}
            while "readings" not in said:
                said = await quick.receive_json(timeout=60)
                assert "gap" not in said
            rows += len(said["readings"]["pump"])
            assert viewer._size <= QUEUE_BYTES
        assert rows % 5_000 == 0
        assert rows > 5_000
        slow._response.connection.transport.resume_reading()
        while "gap" not in (said := await slow.receive_json(timeout=60)):
            assert "readings" in said
        assert "oda_viewer_gaps_total" in await (await client.get("/metrics")).text()

    play(scene)


def test_a_dead_viewer_is_let_go(monkeypatch):
    monkeypatch.setattr(push, "HEARTBEAT_SECONDS", 0.2)

    async def scene(system, client):
        socket = await watching(system, client, "pump")
        socket._response.connection.transport.pause_reading()  # answers no ping, and closes nothing
        while system.service.hub.viewers:
            await asyncio.sleep(0.05)

    play(scene)


def test_viewers_are_told_when_the_server_ends():
    async def run() -> None:
        system = System()
        async with client_of(system) as client:
            socket = await watching(system, client, "pump")
            await client.server.close()
            message = await socket.receive(timeout=30)
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)

    asyncio.run(run())
