"""The `storm` command of the virtual environment: Storm's own, and the form of it that `sparse run` uses.

streamparse asks for a local run as Storm 1 wanted it, which Storm 2 would submit to the cluster.
That one call is turned into `storm local`; every other goes through as it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from oda.cluster.artifacts import pinned
from oda.cluster.layout import load_layout
from oda.cluster.software import Software, install
from oda.cluster.storm_home import flux_classes
from oda.errors import UserError

FLUX = "org.apache.storm.flux.Flux"

LONGEST_RUN_SECONDS = 2**31 - 1
"""streamparse says "for ever" with the largest long, which overflows as milliseconds in Storm."""


def local_run(args: list[str], flux: Path) -> tuple[list[str], dict[str, str]] | None:
    """Storm 2's arguments and environment for a local run, or None if `args` ask for something else.

    Example:
        >>> args = ["jar", "oda.jar", FLUX, "--local", "--no-splash", "--sleep", "60", "oda.yaml"]
        >>> local_run(args, Path("/storm/flux"))[0]  # doctest: +NORMALIZE_WHITESPACE
        ['local', '--local-ttl', '60', 'oda.jar', 'org.apache.storm.flux.Flux', '--no-splash', 'oda.yaml']
    """
    match args:
        # streamparse gives the shell one line: of a folder with blanks in its name come several words.
        case ["jar", *words, main, "--local", "--no-splash", "--sleep", seconds, file] if main == FLUX:
            jar = " ".join(words)
            ttl = str(min(int(seconds), LONGEST_RUN_SECONDS))
            # The project's jar first: Storm looks for the components in the first `resources/` it finds.
            environment = {"STORM_EXT_CLASSPATH": os.pathsep.join([jar, str(flux)])}
            return ["local", "--local-ttl", ttl, jar, FLUX, "--no-splash", file], environment
    return None


def main() -> None:
    """Run the pinned Storm's `storm`."""
    args = sys.argv[1:]
    if args == ["version"]:
        # What streamparse compares with the version in project.clj; a JVM would take seconds to say so.
        print(f"Storm {pinned('storm')}")
        return
    try:
        software = install(lambda _done, _total: None)
    except UserError as error:
        sys.exit(f"storm: {error}")
    translated = local_run(args, flux_classes(software.storm))
    args, environment = translated or (args, _cluster_environment())
    _become(software, args, environment)


def _cluster_environment() -> dict[str, str]:
    """Lets `storm list` and the like find the nimbus of the local cluster, if this folder has one."""
    try:
        layout = load_layout(Path(os.environ.get("ODA_CONFIG", "config.json")), "local")
    except UserError:
        return {}
    return {"STORM_CONF_DIR": str(layout.data / "storm/conf")}


def _become(software: Software, args: list[str], environment: dict[str, str]) -> None:
    storm = str(software.storm / "bin/storm")
    os.execve(storm, [storm, *args], {**os.environ, "JAVA_HOME": str(software.jdk), **environment})
