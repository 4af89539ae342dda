"""Topologies through streamparse and the Storm UI: on this machine, never through a proxy."""

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from oda.storm import topologies
from oda.storm.sparse import _no_proxy
from oda.storm.topologies import Storm


class Answer(BaseHTTPRequestHandler):
    """A Storm UI, and a proxy, that says which of the two it is."""

    def do_GET(self) -> None:
        body = json.dumps({"proxy": self.path.startswith("http://")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


NEEDED = {"oda.kafka.brokers": "a:1", "oda.cassandra.hosts": "a:1", "oda.elasticsearch.urls": "http://a:1"}


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def storm(folder: Path, nimbus: str, port: int) -> Storm:
    config = folder / "config.json"
    section = {"nimbus": nimbus, "ui.port": port, "options": NEEDED}
    config.write_text(json.dumps({"envs": {"local": section}}))
    return Storm(config, "local")


@pytest.mark.parametrize(
    ("nimbus", "through_proxy"), [("127.0.0.1:6627", False), ("localhost:6627", False), ("nimbus.invalid:6627", True)]
)
def test_the_storm_ui_on_this_machine_is_not_asked_through_a_proxy(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch, nimbus: str, through_proxy: bool
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert storm(tmp_path, nimbus, port).api.ask("cluster/summary") == {"proxy": through_proxy}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "a.example"}, "127.0.0.1,localhost,::1,a.example"),
        ({"NO_PROXY": "a.example,b"}, "127.0.0.1,localhost,::1,a.example,b"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_sparse_is_told_the_same(environment: dict[str, str], expected: str) -> None:
    assert _no_proxy(environment) == expected


def test_every_topology_is_dealt_out_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, told = storm(tmp_path, "127.0.0.1:6627", 8080), []
    summary = {"topologies": [{"name": "analytics"}, {"name": "shadow"}]}
    monkeypatch.setattr(found.api, "ask", {"topology/summary": summary}.__getitem__)
    service = SimpleNamespace(rebalance=lambda name, options: told.append((name, options.num_workers)))
    monkeypatch.setattr(topologies, "nimbus", lambda *_: nullcontext(service))
    found.spread(4)
    assert told == [("analytics", 4), ("shadow", 4)]
