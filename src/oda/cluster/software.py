"""Everything that the servers need on disk before the first one can start."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from oda.cluster.artifacts import ArtifactCache, Progress, pinned
from oda.cluster.java import find_jdk
from oda.cluster.storm_home import storm_home


@dataclass(frozen=True)
class Software:
    """Where the software is.

    Attributes:
        jdk: home of the JDK.
        cache: the artifacts.
        storm: Storm's home.
        elasticsearch: Elasticsearch's home.
    """

    jdk: Path
    cache: ArtifactCache
    storm: Path
    elasticsearch: Path


def install(progress: Progress) -> Software:
    """Fetch, check and unpack what is not there yet; milliseconds when all is.

    Raises:
        UserError: no JDK, no Maven, no network, or a file that is not the pinned one.
    """
    jdk, cache = find_jdk(), ArtifactCache()
    with cache.locked():
        cache.ensure(progress)
        return Software(jdk, cache, storm_home(cache), _elasticsearch_home(cache))


def _elasticsearch_home(cache: ArtifactCache) -> Path:
    home = cache.folder / f"elasticsearch-{cache.digest(Path(__file__), 'elasticsearch')}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=cache.folder) as folder:
            with zipfile.ZipFile(cache.files("elasticsearch")[0]) as archive:
                archive.extractall(folder)
            unpacked = Path(folder) / f"elasticsearch-{pinned('elasticsearch')}"
            for script in (unpacked / "bin").iterdir():
                script.chmod(0o755)
            # TemporaryDirectory's own mode, 0700, must not follow: another user runs the server.
            unpacked.chmod(0o755)
            unpacked.rename(home)
    return home
