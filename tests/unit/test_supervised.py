"""What systemd is told, by a socket as it makes one; and the units, as its own tools judge them."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oda.cli.main import app
from oda.paths import BIN, ROOT
from oda.supervised import heartbeat, tell
from support import HANG_SECONDS, config_of_nobody, free_port

UNITS = ROOT / "cluster" / "systemd"
NAMES = ["oda-collect@http.service", "oda-notify.service", "oda-serve.service"]
SYSTEM = Path("/lib/systemd/system")

MOST_EXPOSED = 15
"""Tenths: what is left is the network, AF_UNIX for the log, and the file system, read-only."""


@pytest.fixture
def told(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "notify"))
        ours.settimeout(HANG_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ours


def test_nothing_is_told_where_nobody_asked(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    tell("READY=1")
    assert heartbeat() is None
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    tell("READY=1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["collect", "http", "--port", "PORT", "--spool", "spool"],
        ["collect", "socketio", "http://127.0.0.1:PORT", "--spool", "spool"],
        ["notify", "run", str(ROOT / "cluster/docker/notify.yaml")],
    ],
    ids=["http", "socketio", "notify"],
)
def test_a_service_is_ready_lives_and_ends(told, tmp_path, arguments):
    port = str(free_port())
    line = [BIN / "oda", "--config", config_of_nobody(tmp_path), *(part.replace("PORT", port) for part in arguments)]
    environment = os.environ | {"WATCHDOG_USEC": "200000"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, cwd=tmp_path, env=environment, **pipes) as service:
        try:
            heard = [told.recv(100).decode() for _ in range(4)]
        finally:
            service.send_signal(signal.SIGTERM)
        assert sorted(heard) == ["READY=1", *["WATCHDOG=1"] * 3]
        while (last := told.recv(100).decode()) == "WATCHDOG=1":
            pass
        assert last == "STOPPING=1"


@pytest.fixture
def machine(tmp_path) -> Path:
    """A root folder in which all is installed as docs/install.md has it, and the targets of Debian's systemd."""
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    shutil.copytree(SYSTEM, tmp_path / "lib/systemd/system", symlinks=True)
    program = tmp_path / "opt/oda/bin/oda"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    return tmp_path


def analyze(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", f"--root={machine}", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)


def test_systemd_takes_the_units(machine):
    done = analyze(machine, "verify", *NAMES)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "oda" in line]) == (0, [])
    assert {path.name.replace("@", "@http") for path in UNITS.glob("*.service")} == set(NAMES)
    broken = machine / "etc/systemd/system/oda-serve.service"
    broken.write_text(broken.read_text().replace("WatchdogSec=60", "WatchdogSec=soon"))
    assert "oda-serve.service" in analyze(machine, "verify", "oda-serve.service").stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_units_are_hardened(machine, name):
    done = analyze(machine, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", name)
    assert done.returncode == 0, done.stdout
    shared = machine / "etc/systemd/system/oda-.service.d/hardening.conf"
    shared.write_text(re.sub(r"^(?:Protect|Restrict|Private|System|Cap).*\n", "", shared.read_text(), flags=re.M))
    assert analyze(machine, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", name).returncode != 0


def test_the_commands_of_the_units_are_there():
    for unit in UNITS.glob("*.service"):
        (line,) = re.findall(r"^ExecStart=\S+/oda (.*)$", unit.read_text(), re.MULTILINE)
        words = [word for word in line.split() if not word.startswith(("$", "/", "--"))]
        if "--spool" in line:
            words.append("http")
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0, shown.output
        assert "--spool" not in line or "--spool" in shown.output
