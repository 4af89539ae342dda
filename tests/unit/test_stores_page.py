"""docs/stores.md, done as it stands there: the store is in the graph, takes what others take, and the audit agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from oda.paths import ROOT

PAGE = (ROOT / "docs/stores.md").read_text()

TRIAL = Path(__file__).with_name("trial_of_a_store.py")
"""What is done with it, in a process of its own."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def apply(diff: str, root: Path) -> None:
    """Put what a diff adds beside the line that it shows, which must be there once."""
    path = root / re.search(r"\+\+\+ b/(\S+)", diff)[1]
    text = path.read_text()
    for hunk in re.split(r"@@.*@@\n", diff)[1:]:
        lines = hunk.splitlines()
        (shown,) = [line[1:] for line in lines if line.startswith(" ")]
        assert text.count(f"\n{shown}\n") == 1, f"{path.name} has no such line any more: {shown}"
        text = text.replace(f"\n{shown}\n", "\n" + "".join(f"{line[1:]}\n" for line in lines))
    path.write_text(text)


def test_the_page_is_enough_to_add_a_store(tmp_path: Path) -> None:
    for folder in ("src", "topologies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "config.json", tmp_path)
    (store,) = blocks("python")
    (tmp_path / "src/oda/stores/sqlite.py").write_text(store)
    for diff in blocks("diff"):
        apply(diff, tmp_path)
    command = [sys.executable, TRIAL, "-e", "local"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all is well"
