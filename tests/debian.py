"""Programs of Debian that tests need, unpacked into the cache: installing them would start them as services.

apt fetches them as ever, from the machine's own sources, and checks signatures and hashes; but it keeps its lists with
ours, so that this needs no root, and changes nothing of the machine.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from oda.cluster.artifacts import ArtifactCache
from support import HANG_SECONDS


def unpacked(package: str) -> Path:
    """The folder of a package that needs no other one but Debian's C library; its programs are in usr/bin."""
    cache = ArtifactCache()
    folder = cache.folder / "debian" / package
    with cache.locked():
        if not folder.exists():
            _unpack(package, folder)
    return folder


def rooted(package: str, name: str, root: Path) -> list[str]:
    """What to run a program by that looks for its files where they would be installed: `root` gets all it needs."""
    source, program = unpacked(package), Path("usr", "bin", name)
    shutil.copytree(source / "usr" / "share", root / "usr" / "share", dirs_exist_ok=True)
    libraries = subprocess.run(["ldd", source / program], check=True, capture_output=True, text=True).stdout
    for file in [f"/{program}", *re.findall(r"(/\S+) \(", libraries)]:
        (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / program if file == f"/{program}" else file, root / file[1:])
    as_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    return [*as_root, "chroot", str(root), f"/{program}"]


def _unpack(package: str, folder: Path) -> None:
    part, state = folder.with_suffix(".part"), folder.parent / "apt"
    shutil.rmtree(part, ignore_errors=True)
    for path in (part, state / "lists" / "partial", state / "cache" / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}/cache", "--quiet"]
    for command in (["update"], ["download", package]):
        done = subprocess.run([*apt, *command], cwd=part, capture_output=True, text=True, timeout=HANG_SECONDS)
        assert done.returncode == 0, f"{package} can't be fetched: {done.stdout}{done.stderr}"
    (deb,) = part.glob("*.deb")
    subprocess.run(["dpkg", "--extract", deb, part], check=True, timeout=HANG_SECONDS)
    deb.unlink()
    part.rename(folder)
