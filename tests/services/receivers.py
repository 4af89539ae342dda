"""Receivers of notifications, for the tests: a webhook that behaves as told, Alertmanager, a mail server."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

import debian
from support import HANG_SECONDS, free_port, wait_until


class Hook:
    """A webhook on a port that stays its own. `answer` says a status for a request's JSON; None: it dies.

    Attributes:
        requests: the JSON of what it has taken.
        asked: the headers of every request.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.requests: list[Any] = []
        self.asked: list[dict[str, str]] = []
        self.answer: Callable[[Any], int | None] = lambda _: 200
        self._server: ThreadingHTTPServer | None = None

    @property
    def told(self) -> list[dict[str, Any]]:
        """All notifications that it has taken."""
        return [one for content in self.requests for one in content["notifications"]]

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.told]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Of each that it has taken the series and what changed."""
        return [(one.get("series", one.get("topic")), one["change"]) for one in self.told]

    def start(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.asked.append(dict(self.headers))
                status = hook.answer(content)
                if status is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if 200 <= status < 300:
                    hook.requests.append(content)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(b"as it was told\x1b[2J")

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer.daemon_threads = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Hook:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Alertmanager:
    """A real one. What it notifies is sent to a webhook, at once."""

    def __init__(self, folder: Path, hook: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        route = {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        config = {"route": route, "receivers": [{"name": "hook", "webhook_configs": [{"url": hook}]}]}
        self._command = debian.rooted("prometheus-alertmanager", "prometheus-alertmanager", folder / "root")
        (folder / "root" / "alertmanager.yml").write_text(json.dumps(config))

    def start(self) -> None:
        options = [
            "--config.file=/alertmanager.yml",
            "--storage.path=/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen([*self._command, *options], stdout=log, stderr=log)
        wait_until(self._is_ready, "Alertmanager does not start")

    def _is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "alertmanager.log").read_text()
        try:
            return requests.get(f"{self.url}/-/ready", timeout=HANG_SECONDS).ok
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        """At once, as when its machine goes: with what it has not written down."""
        if self._process:
            self._process.kill()
            self._process.wait(HANG_SECONDS)
            self._process = None

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """Those that are active now, with these labels."""
        found = requests.get(f"{self.url}/api/v2/alerts", timeout=HANG_SECONDS).json()
        return [one for one in found if labels.items() <= one["labels"].items()]

    def silence(self, **labels: str) -> None:
        """Hide notifications of these for an hour."""
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        times = {
            name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            for name, seconds in (("startsAt", 0), ("endsAt", 3600))
        }
        content = {"matchers": matchers, **times, "createdBy": "a test", "comment": "maintenance"}
        requests.post(f"{self.url}/api/v2/silences", json=content, timeout=HANG_SECONDS).raise_for_status()

    def __enter__(self) -> Alertmanager:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


USER, PASSWORD = "oda", "pass word"


@dataclass
class MailServer:
    """A real SMTP server; `answer` says a code for a mail's recipients.

    Attributes:
        mails: what it has taken.
        secured: for each of these whether its connection was encrypted, and who had logged in.
    """

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    secured: list[tuple[bool, Any]] = field(default_factory=list)
    answer: str = "250 OK"
    refused: str = ""

    def text(self) -> str:
        """Of all mails."""
        return "".join(message.get_content() for message in self.mails)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if address == self.refused:
            return "550 who is that?"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.secured.append((server.transport.get_extra_info("ssl_object") is not None, session.auth_data))
        return self.answer


@contextmanager
def mail_server(security: str, certificate: tuple[Path, Path] | None = None) -> Iterator[MailServer]:
    """One on a port of its own; with a certificate it wants a login."""
    server = MailServer(free_port())
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": server.port}
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        options |= {"authenticator": _is_known, "auth_required": True, "auth_require_tls": security == "starttls"}
        options |= {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
        options |= {"ssl_context": context} if security == "tls" else {}
    controller = Controller(server, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def _is_known(_server, _session, _envelope, _mechanism, login: LoginPassword) -> AuthResult:
    known = login == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False, auth_data=USER if known else None)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself, and its key."""
    paths = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=HANG_SECONDS)
    return paths
