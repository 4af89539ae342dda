"""Storm's home folder, put together from its jars and its source release.

Storm's binary release is in no Maven repository. Its jars are, except for those of the UI, the
logviewer and Flux (`sparse run`), which are compiled here with the JDK's own compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from oda.cluster.artifacts import ArtifactCache, pinned
from oda.cluster.java import find_jdk
from oda.errors import UserError

_LIBRARIES = {"lib": "storm", "lib-worker": "storm-worker", "lib-webapp": "storm-webapp"}


def storm_home(cache: ArtifactCache) -> Path:
    """The finished home; call inside `cache.locked()`. Builds it once for each set of artifacts.

    Raises:
        UserError: the compiler failed.
    """
    home = cache.folder / f"storm-{cache.digest(Path(__file__), 'storm-source', *_LIBRARIES.values())}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=cache.folder) as folder:
            # Renamed when complete: a home that exists is whole.
            _build(cache, Path(folder)).rename(home)
    return home


def flux_classes(home: Path) -> Path:
    """Flux, for the class path of `storm local`. Outside lib: workers need none of it."""
    return home / "flux"


def _build(cache: ArtifactCache, folder: Path) -> Path:
    with zipfile.ZipFile(cache.files("storm-source")[0]) as archive:
        archive.extractall(folder)
    source = folder / f"storm-{pinned('storm')}"
    home = folder / "home"
    home.mkdir()
    for name in ("bin", "conf", "log4j2"):
        # defaults.yaml is in a jar already, and Storm refuses to find it twice.
        shutil.copytree(source / name, home / name, ignore=shutil.ignore_patterns("defaults.yaml"))
    for script in (home / "bin").iterdir():
        script.chmod(0o755)
    (home / "RELEASE").write_text(pinned("storm") + "\n")
    for name, module in _LIBRARIES.items():
        (home / name).mkdir()
        for jar in cache.files(module):
            (home / name / jar.name).symlink_to(jar)
    _webapp(source / "storm-webapp/src/main/java", home)
    flux = [source / "flux" / module / "src/main/java" for module in ("flux-core", "flux-wrappers")]
    _compile(flux, flux_classes(home), [home / "lib"])
    return home


def _webapp(source: Path, home: Path) -> None:
    pages = home / "public"
    shutil.copytree(source / "org/apache/storm/daemon/ui/WEB-INF", pages)
    for page in [*pages.rglob("*.html"), *pages.rglob("*.js")]:
        # Maven would put the time of the build there, to get around browsers' caches.
        page.write_bytes(page.read_bytes().replace(b"${packageTimestamp}", pinned("storm").encode()))
    classes = home / "webapp"
    _compile([source], classes, [home / "lib", home / "lib-webapp"])
    shutil.make_archive(str(home / "lib-webapp/storm-webapp"), "zip", classes)
    (home / "lib-webapp/storm-webapp.zip").rename(home / "lib-webapp/storm-webapp.jar")
    shutil.rmtree(classes)


def _compile(sources: list[Path], classes: Path, libraries: list[Path]) -> None:
    files = [str(file) for source in sources for file in source.rglob("*.java")]
    jars = os.pathsep.join(f"{library}/*" for library in libraries)
    command = [str(find_jdk() / "bin/javac"), "-nowarn", "-proc:none", "-encoding", "UTF-8", "-cp", jars]
    done = subprocess.run([*command, "-d", str(classes), *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"javac could not compile Storm's {classes.name}:\n{done.stderr[-2000:]}")
