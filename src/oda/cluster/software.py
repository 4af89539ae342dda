"""Everything that the servers need on disk before the first one can start."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from oda.cluster.artifacts import Progress, Store, pinned
from oda.cluster.java import find_jdk
from oda.cluster.storm_home import storm_home


@dataclass(frozen=True)
class Software:
    """Where the software is.

    Attributes:
        jdk: home of the JDK.
        store: the artifacts.
        storm: Storm's home.
        elasticsearch: Elasticsearch's home.
    """

    jdk: Path
    store: Store
    storm: Path
    elasticsearch: Path


def install(progress: Progress) -> Software:
    """Fetch, check and unpack what is not there yet; milliseconds when all is.

    Raises:
        UserError: no JDK, no Maven, no network, or a file that is not the pinned one.
    """
    jdk, store = find_jdk(), Store()
    with store.locked():
        store.ensure(progress)
        return Software(jdk, store, storm_home(store), _elasticsearch_home(store))


def _elasticsearch_home(store: Store) -> Path:
    home = store.folder / f"elasticsearch-{store.digest(Path(__file__), 'elasticsearch')}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=store.folder) as folder:
            with zipfile.ZipFile(store.files("elasticsearch")[0]) as archive:
                archive.extractall(folder)
            unpacked = Path(folder) / f"elasticsearch-{pinned('elasticsearch')}"
            for script in (unpacked / "bin").iterdir():
                script.chmod(0o755)
            # TemporaryDirectory's own mode, 0700, must not follow: another user runs the server.
            unpacked.chmod(0o755)
            unpacked.rename(home)
    return home
