"""`storm` turns streamparse's local run into Storm 2's, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from oda.cluster.artifacts import pinned
from oda.cluster.storm_command import FLUX, local_run

SPARSE_RUN = ["jar", "/p/_build/oda.jar", FLUX, "--local", "--no-splash", "--sleep", "60", "/tmp/oda.yaml"]


def test_a_local_run_becomes_storm_local() -> None:
    translated = local_run(SPARSE_RUN, Path("/storm/flux"))
    assert translated == (
        ["local", "--local-ttl", "60", "/p/_build/oda.jar", FLUX, "--no-splash", "/tmp/oda.yaml"],
        {"STORM_EXT_CLASSPATH": "/p/_build/oda.jar:/storm/flux"},
    )


def test_the_jar_of_a_folder_with_a_blank_in_its_name_comes_as_two_words() -> None:
    translated = local_run(["jar", "/my", "p/oda.jar", *SPARSE_RUN[2:]], Path("/storm/flux"))
    assert translated is not None
    assert translated[0][3] == "/my p/oda.jar"
    assert translated[1] == {"STORM_EXT_CLASSPATH": "/my p/oda.jar:/storm/flux"}


def test_for_ever_is_a_time_that_storm_can_count() -> None:
    forever = [*SPARSE_RUN[:6], str(2**63 - 1), SPARSE_RUN[7]]
    translated = local_run(forever, Path("/storm/flux"))
    assert translated is not None
    assert int(translated[0][2]) * 1000 < 2**63


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["list"],
        ["version"],
        ["jar", "oda.jar", "org.example.Main"],
        ["jar", "oda.jar", FLUX, "--remote", "oda.yaml"],
        ["jar", "oda.jar", "org.example.Main", *SPARSE_RUN[3:]],
    ],
)
def test_every_other_call_is_none_of_its_business(args: list[str]) -> None:
    assert local_run(args, Path("/storm/flux")) is None


def test_version_is_what_streamparse_looks_for() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "from oda.cluster.storm_command import main; main()", "version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == f"Storm {pinned('storm')}\n"
