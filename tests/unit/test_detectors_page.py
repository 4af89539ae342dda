"""docs/detectors.md, done as it stands there: the package is installed, and its detector found and used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from oda.core.detectors import installed
from oda.paths import ROOT

PAGE = (ROOT / "docs/detectors.md").read_text()

USED = """
from oda.core.detectors import load
from oda.core.kinds import ClosedWindow
Limits = load("limits")
detector = Limits(Limits.Parameters(high=40))
print(detector.update(detector.State(), ClosedWindow("s", 0, 1, 2, 7.0, 1.0, 0, 1, 2, "data", 0)))
"""


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_page_is_enough_to_add_a_detector(tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "limits.py").write_text(block("python"))
    (package / "pyproject.toml").write_text(block("toml"))
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    subprocess.run([sys.executable, *install, site, package], check=True)
    used = subprocess.run([sys.executable, "-c", USED], env={"PYTHONPATH": str(site)}, capture_output=True, text=True)
    assert used.stdout == "Band(expected=20.0, scale=5.0, below=20.0, above=20.0, freedom=inf)\n", used.stderr


def test_the_page_names_all_detectors() -> None:
    assert set(re.findall(r"^\| `([^`]+)` \| (?:readings|windows)", PAGE, re.MULTILINE)) == set(installed())
