"""The script `oda` makes its environment whatever its user has set: the real script, with a real Python and pip.

What it installs here is a program of a line, one package, and another one for developers, all from this machine.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from oda.paths import ROOT
from support import HANG_SECONDS

PROGRAM = "import os, sys\ndef main():\n    print(sys.prefix, *map(os.environ.get, sys.argv[1:]), sep='\\n')\n"

PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

BACKEND = "import shutil\ndef build_editable(folder, *_):\n    shutil.copy({0!r}, folder)\n    return {0!r}\n"


def wheel(folder: Path, name: str, code: str) -> Path:
    file = folder / f"{name}-0.1.0-py3-none-any.whl"
    info = f"{name}-0.1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}_program.py", code)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}_program:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return file


class Clone:
    """A clone of a very small ODA, and a machine on which it is started."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "naïve folder"
        self.root.mkdir()
        self.home = folder / "home"
        self.home.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("mvn", "lein", "setpriv", "chromium", "systemd-analyze"):
            (self.bin / name).symlink_to("/bin/true")
        (self.bin / "python3.11").symlink_to(Path(sys.executable).resolve())
        shutil.copy(ROOT / "oda", self.root)
        package, tool = self._pinned("package"), self._pinned("tool")
        (self.root / "requirements.lock").write_text(package)
        (self.root / "requirements-dev.lock").write_text(package + tool)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND.format(wheel(self.root, "oda", PROGRAM).name))

    def _pinned(self, name: str) -> str:
        file = wheel(self.root, name, "")
        return f"{name} @ {file.as_uri()} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"

    def has(self, name: str) -> bool:
        """Whether a package is installed."""
        return bool(list(self.root.glob(f".venv/lib/python3*/site-packages/{name}_program.py")))

    def run(self, *arguments: str, through: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        """Start the script, with no more in its environment than this, `through` another command."""
        path = f"{self.bin}:{environment.pop('PATH', '/usr/bin:/bin')}"
        return subprocess.run(
            [*through, self.root / "oda", *arguments],
            env={"HOME": str(self.home), "PATH": path, "PIP_NO_INDEX": "1", **environment},
            capture_output=True,
            timeout=HANG_SECONDS,
            encoding="utf-8",
            check=False,
        )

    def works(self, *arguments: str, **environment: Any) -> tuple[list[str], str]:
        """What the program printed after its place, which must be the right one, and what the script said."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        prefix, *printed = done.stdout.splitlines()
        assert prefix == str(self.root / ".venv")
        return printed, done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One that was set up already, by a user who had set all that can be in its way."""
    clone = Clone(tmp_path_factory.mktemp("script"))
    elsewhere = clone.home / "elsewhere"
    (clone.home / "pip.conf").write_text("[install]\nuser = true\n")
    (elsewhere / "encodings").mkdir(parents=True)
    (elsewhere / "encodings/__init__.py").write_text("raise SystemExit('not the Python that you look for')")
    constraint = clone.home / "constraint.txt"
    constraint.write_text("package==7\n")
    _, said = clone.works(
        LC_ALL="C",
        PIP_USER="1",
        PIP_TARGET=str(elsewhere),
        PIP_PREFIX=str(elsewhere),
        PIP_ROOT=str(elsewhere),
        PIP_PYTHON="/usr/bin/python3",
        PIP_CONSTRAINT=str(constraint),
        PIP_REQUIRE_HASHES="1",
        PIP_REQUIRE_VIRTUALENV="1",
        PIP_NO_DEPS="1",
        PIP_DRY_RUN="1",
        PIP_CONFIG_FILE=str(clone.home / "pip.conf"),
        PYTHONPATH=str(elsewhere),
        PYTHONHOME=str(elsewhere),
        VIRTUAL_ENV=sys.prefix,
        PATH=f"{sys.prefix}/bin:{os.defpath}",
    )
    assert "making the virtual environment" in said
    assert [file.name for file in elsewhere.iterdir()] == ["encodings"]
    return clone


def test_it_sets_up_whatever_is_set_and_only_once(clone: Clone) -> None:
    assert clone.works() == ([], "")
    assert clone.has("package")
    # Another one behind the same link, such as the next minor version, would not find the packages.
    assert str((clone.root / ".venv/bin/python").resolve()) in (clone.root / ".venv/made-from").read_text()


def test_what_developers_need_is_there_when_they_test_and_not_before(clone: Clone) -> None:
    for command in (
        ["up"],
        ["topics", "--topic", "test"],
        ["--env", "test", "up"],
        ["--env=test"],
        ["--config"],
        ["-e"],
    ):
        assert clone.works(*command)[1] == ""
    assert not clone.has("tool")
    assert "installing the Python packages" in clone.works("--config", "second.json", "test", "tests/unit")[1]
    assert clone.has("tool")
    for command in ("test", "bench", "up"):
        assert clone.works(command)[1] == ""


def test_who_developed_needs_no_more_after_a_change_of_what_all_need(clone: Clone) -> None:
    lock = clone.root / "requirements.lock"
    lock.write_text(lock.read_text() + "# changed\n")
    for command in ("up", "test"):
        assert "installing the Python packages" in clone.works(command)[1]
    for command in ("up", "test"):
        assert clone.works(command)[1] == ""


def pins(lock: str) -> set[str]:
    """Packages with their versions and hashes, without what is said of them."""
    text = "".join(line for line in (ROOT / lock).read_text().splitlines(True) if not line.lstrip().startswith("#"))
    return {package.strip() for package in text.replace("\\\n", " ").splitlines()}


def test_supervisors_get_a_part_of_what_developers_have_and_no_tool_of_theirs() -> None:
    for_all, for_developers = pins("requirements.lock"), pins("requirements-dev.lock")
    for_supervisors = pins("requirements-topology.lock")
    assert for_supervisors < for_all < for_developers
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    assert {tool for tool in tools if not any(pin.startswith(f"{tool} ") for pin in for_developers)} == set()
    assert {tool for tool in tools if any(pin.startswith(f"{tool} ") for pin in for_all)} == set()


def test_who_has_no_home_keeps_downloads_in_the_clone(clone: Clone) -> None:
    nobody = ["unshare", "--user", "--map-user=4242", "--map-group=4242"]
    assert clone.works("HOME", HOME="", through=nobody)[0] == [str(clone.root / ".oda/home")]


def test_a_home_is_found_when_it_is_not_set(clone: Clone) -> None:
    assert clone.works("HOME", HOME="")[0] == [pwd.getpwuid(os.getuid()).pw_dir]


def test_a_python_that_is_gone_is_replaced(clone: Clone) -> None:
    (clone.bin / "python3.11").rename(clone.bin / "python3")
    assert not (clone.root / ".venv/bin/python").exists()
    _, said = clone.works()
    assert "making the virtual environment" in said
    assert clone.works() == ([], "")


@pytest.mark.parametrize(
    ("environment", "no_proxy"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example"}, "127.0.0.1,localhost,::1,a.example"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(clone: Clone, environment: dict[str, str], no_proxy: str) -> None:
    proxy = "http://proxy.example:3128"
    assert clone.works("no_proxy", "http_proxy", http_proxy=proxy, **environment)[0] == [no_proxy, proxy]


def test_activating_the_environment_sets_the_same(clone: Clone) -> None:
    shell = 'set -eu; . "$1/.venv/bin/activate"; echo "$no_proxy $LEIN_ROOT $LC_ALL"'
    command = ["bash", "-c", shell, "bash", clone.root]
    done = subprocess.run(command, env={"LC_ALL": "C", "PATH": os.defpath}, capture_output=True, text=True, check=True)
    assert done.stdout == "127.0.0.1,localhost,::1 1 C.UTF-8\n"


def test_what_sparse_imports_warns_of_nothing_and_others_do(clone: Clone) -> None:
    shell = 'set -eu; . "$1/.venv/bin/activate"; "$2" -c "import paramiko, warnings; warnings.warn(\'look\')"'
    command = ["bash", "-c", shell, "bash", clone.root, sys.executable]
    for environment in ({}, {"PYTHONWARNINGS": "default"}):
        env = {"PATH": os.defpath} | environment
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert "TripleDES" not in done.stderr
        assert "UserWarning: look" in done.stderr


@pytest.mark.parametrize("name", ["a:b", "a$b", "a'b", 'a"b', "a[b", "a]b", "a\\b", "a*b", "a,b", "a;b", "a&b", "a\nb"])
def test_a_folder_that_something_would_misread_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for file in ("oda", "requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / name)
    done = subprocess.run([tmp_path / name / "oda"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{tmp_path / name}" in done.stderr
    assert "may be in its name" in done.stderr
    assert not (tmp_path / name / ".venv").exists()
