"""The HTTP collector at its socket: who may send, by TLS, how much at once, and how slowly."""

import asyncio
import json
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from typer.testing import CliRunner

from oda.cli.main import app as command
from oda.cluster.certificates import Authority
from oda.collect import admission, endpoint
from oda.collect.check import MAX_LENGTH, Check
from oda.collect.endpoint import Endpoint
from oda.collect.intake import Intake
from oda.collect.spool import Spool
from oda.errors import UserError
from oda.paths import BIN
from oda.web import listening
from oda.web.guard import Guard
from oda.web.listening import serve_until_stopped
from oda.web.tokens import tokens_of_file
from oda.web.where import Where
from support import HANG_SECONDS, config_of_nobody, free_port, wait_until

READING = {"series": "pump-7", "time": 1732300000123, "value": 3.25}
BODY = json.dumps(READING).encode()
ANN, BOB = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def intake(tmp_path):
    with Spool(tmp_path / "spool", "readings", 4 * 2**20) as spool:
        yield Intake(spool, SimpleNamespace(away=""), Check(86_400_000))


@pytest.fixture
def tokens(tmp_path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"# who may send\nann {ANN}\nbob {BOB}\n")
    return file


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    authority.sign("server")
    authority.sign("renewed")
    authority.sign("expired", days=-1)
    return authority


def reached(folder: Path | None = None, name: str = "server", tokens: Path | None = None) -> Where:
    files = (folder / f"{name}.pem", folder / f"{name}.key") if folder else ()
    return Where("127.0.0.1", free_port(), *files, tokens=tokens_of_file(tokens) if tokens else None)


@asynccontextmanager
async def served(intake: Intake, where: Where, most: int = 100) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the collector, which listens as the command has it listen."""
    ready = asyncio.Event()
    application = Endpoint(intake, Guard(where)).application()
    server = asyncio.create_task(serve_until_stopped(application, where, most, 1.0, lambda _: ready.set()))
    started = asyncio.create_task(ready.wait())
    await asyncio.wait({server, started}, return_when=asyncio.FIRST_COMPLETED)
    try:
        async with aiohttp.ClientSession(where.url, timeout=aiohttp.ClientTimeout(HANG_SECONDS)) as client:
            yield client
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


async def post(client: aiohttp.ClientSession, token: str | None = None, body=BODY, **more) -> tuple[int, str]:
    """The status, and what is said."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with client.post("/readings", data=body, headers=headers, **more) as answer:
        said = await answer.json()
        assert ("Retry-After" in answer.headers) == (answer.status in (429, 503))
        return answer.status, said.get("error", "")


async def opened(where: Where, head: str = "", tls: ssl.SSLContext | None = None):
    """A connection, on which the beginning of a request is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", where.port, ssl=tls)
    writer.write(head.replace("\n", "\r\n").encode())
    return reader, writer


def head(length: int | None = None, *more: str) -> str:
    sized = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return "\n".join(["POST /readings HTTP/1.1", "Host: 127.0.0.1", sized, *more, "\n"])


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The next answer on a connection: status, and what is said; 0 if it was closed without one."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, ""
    (length,) = [int(line.partition(":")[2]) for line in lines if line.startswith("Content-Length")] or [0]
    return int(lines[0].split()[1]), json.loads(await reader.readexactly(length) or b"{}").get("error", "")


def run(scene) -> None:
    asyncio.run(asyncio.wait_for(scene(), HANG_SECONDS))


# -- who may send ---------------------------------------------------------------------------------


def test_a_token_that_is_taken_away_opens_nothing_from_then_on(intake, tokens, capsys):
    async def scene():
        async with served(intake, reached(tokens=tokens)) as client:
            assert await post(client) == (401, "this server wants a token, as Authorization: Bearer TOKEN")
            for wrong in (ANN[:-1], ANN + "0", "x" * 16):
                assert await post(client, wrong) == (401, "this is no token of this server, or no longer")
            assert [await post(client, token) for token in (ANN, BOB)] == [(200, "")] * 2
            async with client.get("/health") as health:
                assert health.status == 200
            tokens.write_text(f"bob {BOB}\ncarl {'c' * 16}\n")
            assert (await post(client, ANN))[0] == 401
            assert [await post(client, token) for token in (BOB, "c" * 16)] == [(200, "")] * 2
            for broken in ("", "bob short\n", None):
                tokens.unlink() if broken is None else tokens.write_text(broken)
                for token in (BOB, ANN):
                    assert await post(client, token) == (503, "this server can't use its file of tokens just now")
            tokens.write_text(f"bob {BOB}\n")
            assert [(await post(client, token))[0] for token in (BOB, "c" * 16)] == [200, 401]

    run(scene)
    assert len(intake.spool) == 5
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("; until")[0].partition("tokens")[2] for line in said] == [
        ": there is no token in it; `openssl rand -hex 16` makes one",
        ", line 1: must be a token of at least 16 characters, or a name and a token; `openssl rand -hex 16` makes one",
        ": No such file or directory",
    ]
    assert not any(token in line for token in (ANN, BOB) for line in said)


def test_a_page_in_somebody_s_browser_may_not_send(intake):
    async def scene():
        async with served(intake, reached()) as client:
            for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
                async with client.post("/readings", data=BODY, headers=headers) as refusal:
                    assert refusal.status == 403
                    assert (await refusal.json())["error"]

    run(scene)
    assert len(intake.spool) == 0


def test_other_machines_are_let_in_with_tokens_and_tls_or_when_it_is_said_so(tmp_path, tokens, pki):
    tls = ["--certificate", pki.folder / "server.pem", "--key", pki.folder / "server.key"]
    for options, missing in (
        ([], "tokens, by --token-file (`openssl rand -hex 16` makes one) and TLS, by --certificate and --key"),
        (["--token-file", tokens], "TLS, by --certificate and --key"),
        (tls, "tokens, by --token-file (`openssl rand -hex 16` makes one)"),
    ):
        result = CliRunner().invoke(command, ["collect", "http", "--host", "0.0.0.0", *map(str, options)])
        assert isinstance(result.exception, UserError)
        assert str(result.exception) == f"--host 0.0.0.0 lets other machines in, which takes {missing}"
    port = str(free_port())
    line = [BIN / "oda", "--config", config_of_nobody(tmp_path), "collect", "http", "--host", "0.0.0.0", "--insecure"]
    with subprocess.Popen([*line, "--port", port], cwd=tmp_path, stderr=subprocess.DEVNULL) as collector:

        async def is_healthy() -> bool:
            try:
                async with aiohttp.request("GET", f"http://127.0.0.1:{port}/health") as health:
                    return health.status == 200
            except aiohttp.ClientError:
                return False

        try:
            wait_until(lambda: asyncio.run(is_healthy()), "it does not listen")
        finally:
            collector.send_signal(signal.SIGTERM)
        assert collector.wait(HANG_SECONDS) == 130


# -- TLS ------------------------------------------------------------------------------------------


def trusting(pki: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pki.pem)


def test_by_tls_and_what_is_no_tls_is_let_go(intake, pki, tokens):
    where = reached(pki.folder, tokens=tokens)

    async def scene():
        async with served(intake, where) as client:
            _, mute = await opened(where)  # says nothing, for as long as the rest takes
            assert await post(client, ANN, ssl=trusting(pki)) == (200, "")
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match="unable to get local issuer"):
                await post(client, ANN)
            reader, _ = await opened(where, head(2) + "{}")
            assert await answer(reader) == (0, "")
            assert await post(client, ANN, ssl=trusting(pki)) == (200, "")
            mute.close()

    run(scene)


def test_a_client_tells_that_the_certificate_has_expired(intake, pki):
    async def scene():
        async with served(intake, reached(pki.folder, "expired")) as client:
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match="certificate has expired"):
                await post(client, ssl=trusting(pki))

    run(scene)


def test_a_certificate_that_is_renewed_is_shown_to_who_comes_then(intake, pki, tmp_path, capsys):
    for kind in ("pem", "key"):
        (tmp_path / f"server.{kind}").write_bytes((pki.folder / f"server.{kind}").read_bytes())
    where = reached(tmp_path)

    async def shown() -> bytes:
        _, writer = await opened(where, tls=trusting(pki))
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    def certificate(name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert((pki.folder / f"{name}.pem").read_text())

    async def scene():
        async with served(intake, where):
            assert await shown() == certificate("server")
            (tmp_path / "server.pem").write_bytes((pki.folder / "renewed.pem").read_bytes())
            for _ in range(2):
                assert await shown() == certificate("server")
            (tmp_path / "server.key").write_bytes((pki.folder / "renewed.key").read_bytes())
            assert await shown() == certificate("renewed")
            (tmp_path / "server.key").unlink()
            assert await shown() == certificate("renewed")

    run(scene)
    said = capsys.readouterr().err.splitlines()
    assert [line.rpartition("server.key: ")[2] for line in said] == [
        "holds nothing of that kind in PEM, or not what belongs together; the former certificate is used on",
        "No such file or directory; the former certificate is used on",
    ]


def test_files_that_are_no_certificate_are_named(pki, tmp_path):
    for certificate, key in (("none.pem", "server.key"), ("server.key", "server.key"), ("server.pem", "renewed.key")):
        with pytest.raises(UserError, match=r"--certificate .*, --key "):
            Where("127.0.0.1", 1, pki.folder / certificate, pki.folder / key).context()
    with pytest.raises(UserError, match="give both, or none"):
        Where("127.0.0.1", 1, pki.folder / "server.pem").context()
    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "rsa", "-aes256", "-passout", "pass:x", "-in", pki.folder / "server.key", "-out", locked]
    subprocess.run(encrypt, check=True, capture_output=True)
    with pytest.raises(UserError, match=r"--key .*locked.key: must not be encrypted"):
        Where("127.0.0.1", 1, pki.folder / "server.pem", locked).context()


# -- how much, and how slowly ---------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_is_sent(intake, tokens):
    where = reached(tokens=tokens)
    ann, asks = f"Authorization: Bearer {ANN}", "Expect: 100-continue"

    async def scene():
        async with served(intake, where) as client:
            reader, _ = await opened(where, head(MAX_LENGTH + 1, ann))
            assert await answer(reader) == (413, f"more than {MAX_LENGTH} bytes: send several requests")
            reader, _ = await opened(where, head(MAX_LENGTH + 1, ann, asks))
            assert (await answer(reader))[0] == 413
            reader, _ = await opened(where, head(MAX_LENGTH, asks))
            assert (await answer(reader))[0] == 401
            reader, writer = await opened(where, head(len(BODY), ann, asks))
            assert (await answer(reader))[0] == 100
            writer.write(BODY)
            assert await answer(reader) == (200, "")

            async def pieces():
                for _ in range(9):
                    yield b" " * (MAX_LENGTH // 8)

            assert (await post(client, ANN, pieces()))[0] == 413

    run(scene)
    assert len(intake.spool) == 1


def test_a_full_spool_refuses_before_the_body_is_sent(intake):
    async def scene():
        where = reached()
        async with served(intake, where) as client:
            while (await post(client, body=json.dumps([READING] * 10_000)))[0] == 200:
                pass
            for request in (head(MAX_LENGTH), head(MAX_LENGTH, "Expect: 100-continue")):
                reader, _ = await opened(where, request)
                assert (await answer(reader))[0] == 503
            intake.spool.drop(10**9, {})
            reader, writer = await opened(where, head(len(BODY)))
            writer.write(BODY)
            assert (await answer(reader))[0] == 200

    run(scene)


def test_who_has_too_many_requests_under_way_keeps_nobody_else_out(intake, tokens, monkeypatch):
    monkeypatch.setattr(admission, "MOST_OF_ONE", 3)
    monkeypatch.setattr(admission, "MOST", 5)
    where = reached(tokens=tokens)

    async def begun(token: str, count: int):
        begun = [await opened(where, head(len(BODY), f"Authorization: Bearer {token}")) for _ in range(count)]
        for _, writer in begun:
            await writer.drain()
        return begun

    async def refused(client, token: str, status: int) -> str:
        """When the others have arrived."""
        while (said := await post(client, token))[0] == 200:
            await asyncio.sleep(0.01)
        assert said[0] == status
        return said[1]

    async def scene():
        async with served(intake, where) as client:
            of_ann = await begun(ANN, 3)
            said = await refused(client, ANN, 429)
            assert said == "ann has 3 requests under way: wait for an answer to one of them; this one was not read"
            assert (await post(client, BOB))[0] == 200
            of_bob = await begun(BOB, 2)
            said = await refused(client, BOB, 503)
            assert said.startswith("5 requests are under way, which is all that this collector takes at once; ")
            for reader, writer in of_ann + of_bob:
                writer.write(BODY)
                assert (await answer(reader))[0] == 200
            assert [(await post(client, token))[0] for token in (ANN, BOB)] == [200, 200]

    run(scene)


@pytest.mark.parametrize("secure", [False, True])
def test_connections_that_are_too_many_are_told_so_and_those_beyond_cut_off(intake, pki, monkeypatch, secure):
    monkeypatch.setattr(listening, "_REFUSED", 2)
    where = reached(pki.folder if secure else None)
    tls = trusting(pki) if secure else None

    async def scene():
        async with served(intake, where, most=3) as client:
            held = [await opened(where, tls=tls) for _ in range(3)]
            for _ in range(2):
                held.append(await opened(where, tls=tls))
                full = (503, "3 connections are open, which is all that this server holds")
                assert await answer(held[-1][0]) == full
            try:
                held.append(await opened(where, tls=tls))
                assert await answer(held[-1][0]) == (0, "")
            except OSError:
                assert secure  # in the midst of the handshake
            for _, writer in held:
                writer.close()
            status = 503
            while status == 503:
                with suppress(aiohttp.ClientError):  # it is cut off, until those who were refused are gone
                    status, _ = await post(client, ssl=tls or True)
            assert status == 200

    run(scene)


def test_slow_clients_are_let_go(intake, pki, monkeypatch):
    monkeypatch.setattr(listening, "IDLE", 0.5)
    monkeypatch.setattr(listening, "HANDSHAKE", 0.5)
    monkeypatch.setattr(endpoint, "BODY", 0.5)

    async def dribbled(where: Where, beginning: str, piece: bytes) -> tuple[int, str]:
        """What a client is answered that sends a little again and again."""
        reader, writer = await opened(where, beginning)
        said = asyncio.create_task(answer(reader))
        while not said.done():
            writer.write(piece)
            await asyncio.sleep(0.05)
        writer.close()
        return said.result()

    async def scene():
        where = reached()
        async with served(intake, where) as client:
            assert await dribbled(where, "", b"") == (0, "")
            assert await dribbled(where, "POST /readings HTTP/1.1\n", b"X-A: b\r\n") == (0, "")
            too_slow = (408, "it took more than 0.5 s to send; none was accepted")
            assert await dribbled(where, head(MAX_LENGTH), b" ") == too_slow
            assert await dribbled(where, head(), b"1\r\n \r\n") == too_slow
            assert (await post(client))[0] == 200
        where = reached(pki.folder)
        async with served(intake, where):
            assert await dribbled(where, "", b"") == (0, "")

    run(scene)


def test_a_crowd_costs_no_more_files_than_it_may_have(intake, monkeypatch):
    asked = []
    monkeypatch.setattr(listening.resource, "getrlimit", lambda _: (1024, 1300))
    monkeypatch.setattr(listening.resource, "setrlimit", lambda _, limits: asked.append(limits))

    async def scene():
        for most in (500, 900, 2000):
            async with served(intake, reached(), most=most):
                pass

    run(scene)
    assert asked == [(900 + 64 + 256, 1300), (1300, 1300)]


def test_an_address_that_cannot_be_had_is_named(intake):
    async def scene():
        where = reached()
        async with served(intake, where):
            for host, port in (("127.0.0.1", where.port), ("nowhere.invalid", 1)):
                with pytest.raises(UserError, match=rf"can't listen on {host}:{port}: .*; give another --host or"):
                    await serve_until_stopped(aiohttp.web.Application(), Where(host, port), 1, 0.1)

    run(scene)
