"""Where the repository is, and the commands of its environment."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository's root: `sparse` works nowhere else."""

IN_CLONE = (ROOT / "pyproject.toml").is_file()
"""Whether there is one: what was installed from a wheel has none."""

BIN = Path(sys.executable).parent
"""Where `oda`, `sparse` and `storm` are."""
