"""The servers' software: fetched by Maven coordinates, checked against `cluster/artifacts.lock`.

Nothing is copied: the servers' class paths are files of Maven's local repository, which is kept in
our own cache. A file that was checked once is not read again while its size and time are the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oda.cluster.java import find_jdk
from oda.cluster.layout import CLUSTER, check_name
from oda.errors import UserError

Progress = Callable[[int, int], None]
"""Is told how many artifacts are there, and how many there are in all."""

LOCK = CLUSTER / "artifacts.lock"


def pinned(server: str) -> str:
    """The version of a server, such as `pinned("kafka")`; `cluster/pom.xml` has them all."""
    tag = "{http://maven.apache.org/POM/4.0.0}" + f"{server}.version"
    return next(str(element.text) for element in ET.parse(CLUSTER / "pom.xml").iter(tag))


def read_lock(lock: Path = LOCK) -> dict[str, dict[str, str]]:
    """For each module of `cluster/pom.xml`: path in the Maven repository -> SHA-256, in class path order."""
    modules: dict[str, dict[str, str]] = {}
    for line in lock.read_text().splitlines():
        if line.startswith("# "):
            files = modules.setdefault(line.removeprefix("# "), {})
        elif line:
            sha256, path = line.split()
            files[path] = sha256
    return modules


class ArtifactCache:
    """The cache of artifacts below one folder.

    Attributes:
        folder: `ODA_CACHE`, or `~/.cache/oda`.

    Raises:
        UserError: there is no such folder, as nobody's home is known, or its name is none that Java can use.
    """

    def __init__(self, folder: Path | None = None, lock: Path = LOCK) -> None:
        self.folder = folder or _cache()
        self.maven = self.folder / "maven"
        self._verified = self.folder / "verified.json"
        self._modules = read_lock(lock)

    def files(self, module: str) -> list[Path]:
        """The artifacts of a module, in class path order."""
        return [self.maven / path for path in self._modules[module]]

    def digest(self, recipe: Path, *modules: str) -> str:
        """Short name of what a source file makes of exactly these versions of these modules."""
        pins = json.dumps([self._modules[module] for module in modules])
        return hashlib.sha256(pins.encode() + recipe.read_bytes()).hexdigest()[:12]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from filling the same cache meanwhile.

        Raises:
            UserError: the cache can't be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / "lock").open("w")
        except OSError as error:
            raise UserError(
                f"the servers are kept in {self.folder}, and that can't be written ({error.strerror}). "
                "Set ODA_CACHE to a folder of yours."
            ) from None
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def ensure(self, progress: Progress) -> None:
        """Fetch what is missing, check what is new.

        Raises:
            UserError: Maven is missing or failed, or a file is not the one in the lock.
        """
        pins = {path: sha256 for files in self._modules.values() for path, sha256 in files.items()}
        if not all((self.maven / path).exists() for path in pins):
            self._fetch(pins, progress)
        self._verify(pins)

    def _fetch(self, pins: dict[str, str], progress: Progress) -> None:
        log = self.folder / "maven.log"
        with log.open("w") as output:
            maven = start_maven(self.maven, self.folder / "classpaths", output.fileno())
            try:
                while maven.poll() is None:
                    progress(sum((self.maven / path).exists() for path in pins), len(pins))
                    time.sleep(0.3)
            finally:
                maven.terminate()
                maven.wait()
        missing = [path for path in pins if not (self.maven / path).exists()]
        if maven.returncode or missing:
            errors = [line for line in log.read_text().splitlines() if "ERROR" in line] or [f"did not fetch {missing}"]
            raise UserError(f"Maven could not fetch the servers; its log is {log}. It says:\n{errors[0]}")
        progress(len(pins), len(pins))

    def _verify(self, pins: dict[str, str]) -> None:
        known = json.loads(self._verified.read_text()) if self._verified.exists() else {}
        seen = {}
        for path, sha256 in pins.items():
            file = self.maven / path
            stat = file.stat()
            seen[path] = [sha256, stat.st_size, stat.st_mtime_ns]
            if known.get(path) != seen[path]:
                _check(file, sha256)
        if seen != known:
            self._verified.write_text(json.dumps(seen))


def _cache() -> Path:
    try:
        folder = Path(os.environ.get("ODA_CACHE") or "~/.cache/oda").expanduser().resolve()
    except RuntimeError:  # no HOME, and a user of whom the system knows nothing, as in some containers
        raise UserError("there is no home folder to keep the servers in. Set ODA_CACHE to a folder of yours.") from None
    check_name("ODA_CACHE", folder)
    return folder


def _check(file: Path, sha256: str) -> None:
    actual = digest_of(file)
    if actual != sha256:
        raise UserError(
            f"{file} is not what {LOCK.name} pins (SHA-256 {actual}, not {sha256}). "
            "Delete it and start again to fetch it anew; if it stays so, don't use it."
        )


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def start_maven(repository: Path, classpaths: Path, output: int) -> subprocess.Popen[bytes]:
    """Start the resolution of all modules of `cluster/pom.xml` into a local repository.

    It leaves one file a module in `classpaths`: its artifacts, separated by colons.

    Raises:
        UserError: there is no `mvn`.
    """
    command = ["mvn", "--batch-mode", "--no-transfer-progress", "--file", str(CLUSTER / "pom.xml")]
    command += [f"-Dmaven.repo.local={repository}", f"-Doda.classpaths={classpaths}", "dependency:build-classpath"]
    environment = os.environ | {"JAVA_HOME": str(find_jdk())}
    try:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    except FileNotFoundError:
        raise UserError("Maven is needed to fetch the servers. Install it (Debian: apt-get install maven).") from None
