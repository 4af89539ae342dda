"""Finds a JDK 17: Cassandra 5 and Storm 2 run on no newer one, and Storm's UI is compiled here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from oda.errors import UserError

VERSION = "17"


def find_jdk() -> Path:
    """The home of a JDK 17: JAVA_HOME, else the `java` on PATH, else one below /usr/lib/jvm.

    Raises:
        UserError: there is none; the message says what was found instead.
    """
    found = {home: _version(home) for home in _candidates()}
    for home, version in found.items():
        if version == VERSION and (home / "bin/javac").exists():
            return home
    seen = ", ".join(f"{home} is {'a JRE ' if v == VERSION else ''}{v}" for home, v in found.items() if v)
    raise UserError(
        f"A JDK {VERSION} is needed, and was not found ({seen or 'no Java at all'}). "
        f"Install it (Debian: apt-get install openjdk-{VERSION}-jdk-headless), or set JAVA_HOME."
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"))


def _version(home: Path) -> str | None:
    """The major version, from the `release` file that every JDK carries."""
    try:
        match = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        return None
    return match[1] if match else None
