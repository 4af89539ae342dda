"""`oda test`: style, types and all tests, as CI runs them."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from oda.paths import ROOT

_CHECKS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]

_PYTEST = ["pytest", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
"""Two processes: the tests of one set of servers run beside those of another, or of none (tests/conftest.py). With
three, and servers for each, two cores are full, and all takes longer."""

_MACHINES = "tests/machines"
"""Whose three of each server take the cores whole."""

_ALL = [[*_PYTEST, "--ignore", _MACHINES], ["pytest", _MACHINES]]


def register(app: typer.Typer) -> None:
    app.command("test")(run_all)


def run_all(
    arguments: Annotated[list[str] | None, typer.Argument(help="For pytest: paths, -k NAME, ...")] = None,
) -> None:
    """Check style and types, then run the tests on real servers of their own.

    Examples: oda test, oda test tests/unit, oda test -- -k walk
    """
    for check in [*_CHECKS, *([[*_PYTEST, *arguments]] if arguments else _ALL)]:
        print(f"$ {' '.join(check)}", flush=True)
        code = subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode
        if code:
            raise typer.Exit(code)
