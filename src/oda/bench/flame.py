"""Where each Python component spends its time: flame graphs, while a full topic is worked off."""

from __future__ import annotations

import subprocess
from pathlib import Path

from oda.bench import throughput
from oda.chaos.system import SCRIPTS, System
from oda.errors import UserError

_SECONDS = 5
_SAMPLES_A_SECOND = 200


def draw(system: System, folder: Path) -> list[Path]:
    """Sample all components at once, from when the spout begins to read; returns the SVG files.

    Args:
        system: its topology was just submitted, and its topic takes longer than the sampling.
        folder: where the files go.

    Raises:
        UserError: py-spy failed; it needs to be root, or the right to trace other processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    throughput.reading_since(system.settings, system.cluster.layout.logs)
    files = {folder / f"{name}.svg": system.component(name)[0] for name in SCRIPTS}
    options = ["--duration", str(_SECONDS), "--rate", str(_SAMPLES_A_SECOND), "--gil"]
    samplers = [
        subprocess.Popen(
            ["py-spy", "record", *options, "--output", str(file), "--pid", str(process.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for file, process in files.items()
    ]
    for sampler in samplers:
        output, _ = sampler.communicate()
        if sampler.returncode:
            raise UserError(f"py-spy failed: {output[-500:]}")
    for file in files:  # py-spy's title is its command line
        file.write_text(file.read_text().replace(f"{folder}/", ""))
    return list(files)
