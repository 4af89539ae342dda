"""The package outside of a clone: built, installed alone into an environment of its own, and used there."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from oda.kafka.reader import read_to_end, reader
from oda.kafka.topics import create_topics
from oda.paths import ROOT
from support import HANG_SECONDS

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


class Installed:
    """An environment with the package's base, as docs/install.md has it made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "environment" / "bin"

    @property
    def wheel(self) -> Path:
        (found,) = self.folder.glob("oda-*.whl")
        return found

    def make(self) -> None:
        source = self.folder / "source"
        shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", source)
        self._run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", self.folder, source)
        venv.create(self.bin.parent, with_pip=False)
        pins = re.findall(r"^[a-z].*==[^ ]*", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        constraints = self.folder / "constraints.txt"
        constraints.write_text("\n".join(pins))
        self._run(*PIP, "--python", self.bin / "python", "install", "--constraint", constraints, self.wheel)

    @staticmethod
    def _run(*command: object) -> None:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, name: str, *arguments: object, **more) -> subprocess.CompletedProcess[str]:
        """A command of it, elsewhere, without anything of ours in its environment."""
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "COLUMNS": "200", "TERM": "dumb"}
        options = {"capture_output": True, "text": True, "timeout": HANG_SECONDS} | more
        command = [str(self.bin / name), *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=environment, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    found = Installed(tmp_path_factory.mktemp("installed"))
    found.make()
    return found


def test_the_base_is_the_collectors_and_the_rest_says_what_it_needs(installed: Installed) -> None:
    there = {path.name for path in installed.bin.parent.glob("lib/python3*/site-packages/*")}
    assert {"oda", "kafka", "lmdb", "aiohttp", "socketio"} <= there
    assert not {"streamparse", "cassandra", "elasticsearch", "numpy", "scipy", "requests", "psutil"} & there
    listed = installed.run("oda", "--help").stdout
    assert re.search("collect +Collect readings", listed)
    assert re.search(r"serve +Not here: it needs \w+, which is not installed: install oda\[page\]", listed)
    for line, says in (
        (["serve", "--port", "1"], r"oda: oda serve needs \w+, which is not installed: install oda\[page\]\n"),
        (["notify", "run", "x"], r"oda: oda notify needs \w+, which is not installed: install oda\[page\]\n"),
        (["why", "--help"], r"oda: oda why needs \w+, which is not installed: install oda\[tools\]\n"),
        (["up"], r"oda: oda up is of ODA's source: ./oda in a clone\n"),
        (["collect", "http"], r"oda: config.json: No such file or directory; .*\n"),
    ):
        done = installed.run("oda", *line)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(says, done.stderr), done.stderr
    done = installed.run("storm", "list")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    for source in ("http", "socketio", "stdin", "csv", "walk"):
        assert installed.run("oda", "collect", source, "--help").returncode == 0


def test_what_the_page_is_made_of_is_in_the_package(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    for folder in ("oda/serve/page", "oda/trial", "oda"):
        files = {path.relative_to(ROOT / "src") for path in (ROOT / "src" / folder).rglob("*") if path.is_file()}
        assert {str(file) for file in files if file.suffix != ".pyc"} <= names


def test_readings_get_into_kafka_from_elsewhere(cluster, installed: Installed, tmp_path: Path) -> None:
    isolated = cluster.isolated(tmp_path)
    create_topics(isolated.settings.kafka)
    lines = [json.dumps({"series": "pump", "time": 1732300000000 + n, "value": n}) for n in range(100)]
    done = installed.run("oda", "--config", isolated.config, "collect", "stdin", input="\n".join(lines))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("100 readings accepted, 0 rejected; 0 wait for Kafka in .oda/spool/stdin")
    with reader(isolated.settings.kafka, [isolated.settings.kafka.readings], from_beginning=True) as consumer:
        values = [json.loads(record.value)["value"] for _, records in read_to_end(consumer) for record in records]
    assert values == list(range(100))
