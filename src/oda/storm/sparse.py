"""streamparse's command `sparse`, and the jar that it makes to carry ODA's Python to Storm."""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from oda.errors import UserError
from oda.paths import BIN, ROOT
from oda.web.where import LOOPBACK

_CREATED = re.compile(r"^JAR created: (.+)$", re.MULTILINE)


def _no_proxy(environment: Mapping[str, str]) -> str:
    """A proxy is for the world, not for this machine."""
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return named if named == "*" else ",".join([*LOOPBACK, *filter(None, [named])])


ENVIRONMENT = os.environ | {
    "LEIN_ROOT": "1",
    "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    "no_proxy": _no_proxy(os.environ),
}
"""What `sparse` needs: the commands beside our Python, Leiningen's leave to run as root, and a way to the Storm UI."""


def sparse(command: str, *arguments: str) -> str:
    """Run a sparse command; returns what it printed.

    Raises:
        UserError: it failed.
    """
    line = [str(BIN / "sparse"), command, *arguments]
    done = subprocess.run(line, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"sparse {command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


@contextmanager
def building() -> Iterator[None]:
    """One at a time: streamparse and Leiningen build in one place of the project, and clean it before."""
    with (ROOT / "project.clj").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def jar() -> Path:
    """The jar with the sources as they were at the first call, for all that this process submits. Raises UserError.

    Leiningen takes seconds for it.
    """
    folder = tempfile.TemporaryDirectory(prefix="oda-jar-")
    atexit.register(folder.cleanup)
    with building():
        (made,) = _CREATED.findall(sparse("jar", "--simple_jar"))
        return Path(shutil.copy(made, folder.name))
