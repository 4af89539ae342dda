"""Processes of a cluster are found by their mark, and nothing else is ever ended."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from oda.cluster import processes
from oda.cluster.processes import end, find, find_servers, listeners, lives, start
from support import HANG_SECONDS, wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def data(tmp_path: Path):
    yield tmp_path
    end(tmp_path, find(tmp_path).keys())


def run(data: Path, name: str, command: list[str] = SLEEP) -> psutil.Process:
    """Start what does not end by itself, and can be found."""
    process = start(data, name, command, os.environ, data / f"{name}.log")
    wait_until(process.environ, "it has no environment")  # which a moment after its start is not there yet
    return process


def test_a_server_is_found_by_its_name(data: Path) -> None:
    process = run(data, "kafka")
    assert find(data) == {"kafka": [process]}
    assert find_servers(data) == {"kafka": process}


def test_two_clusters_do_not_see_each_other(data: Path) -> None:
    run(data, "kafka")
    assert find(data / "second") == {}
    assert end(data / "second", ["kafka"]) == 0
    assert "kafka" in find(data)


def test_ending_a_server_leaves_the_others(data: Path) -> None:
    first, second = run(data, "kafka"), run(data, "cassandra")
    assert end(data, ["kafka"]) == 1
    assert not lives(first)
    assert lives(second)


def test_what_a_server_started_ends_with_it_even_when_the_server_died_before(data: Path) -> None:
    begins = [sys.executable, "-c", f"import subprocess; subprocess.Popen({SLEEP!r})"]
    parent = start(data, "supervisor", begins, os.environ, data / "supervisor.log")
    parent.wait(HANG_SECONDS)
    (worker,) = wait_until(lambda: find(data).get("supervisor"), "what the server started is not found")
    assert worker.pid != parent.pid
    assert find_servers(data) == {}
    assert end(data, ["supervisor"]) == 1
    assert not lives(worker)


def test_a_process_without_the_mark_is_never_touched(data: Path) -> None:
    bystander = subprocess.Popen(SLEEP)
    try:
        assert end(data, ["kafka", "supervisor"]) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_ignores_sigterm_is_killed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.5)
    ready = data / "ready"
    stubborn = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""
    process = run(data, "kafka", [sys.executable, "-c", stubborn])
    while not ready.exists():
        time.sleep(0.05)
    assert end(data, ["kafka"]) == 1
    assert not lives(process)


def test_a_server_has_a_session_of_its_own_and_writes_to_its_log(data: Path) -> None:
    prints = [sys.executable, "-c", "import os; print(os.getsid(0))"]
    process = start(data, "kafka", prints, os.environ, data / "kafka.log")
    process.wait(HANG_SECONDS)
    assert (data / "kafka.log").read_text() == f"{process.pid}\n"


def test_listeners_name_who_holds_a_port() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listeners()[server.getsockname()[1]] == os.getpid()
