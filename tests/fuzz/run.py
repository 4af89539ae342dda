"""Fuzzes one entrance; coverage of ODA's own code guides what is tried next.

    python tests/fuzz/run.py TARGET -max_total_time=600       # for ten minutes
    python tests/fuzz/run.py TARGET CRASH                     # once more what a run has found, a file
    python tests/fuzz/run.py TARGET FOLDER -jobs=2            # keeps what it has learned in a folder

TARGET is one of `targets.py`. All other arguments are libFuzzer's (`-help=1` lists them). What makes a target
fail is written to a file `crash-...`, what hangs to `timeout-...`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["oda", "targets"]):
    from targets import TARGETS, WORDS


def main() -> None:
    """Run libFuzzer; it ends the process."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.argv[0], *sys.argv[2:], f"-dict={_dictionary(Path(folder))}"]
        if not any(Path(argument).is_file() for argument in arguments[1:]):
            arguments.append(_corpus(Path(folder) / "seeds", target.seeds))
        atheris.Setup(arguments, target.run)
        atheris.Fuzz()


def _dictionary(folder: Path) -> Path:
    path = folder / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS)
    path.write_text("".join(f'"{word}"\n' for word in escaped))
    return path


def _corpus(folder: Path, seeds: list[bytes]) -> str:
    folder.mkdir()
    for number, seed in enumerate(seeds):
        (folder / str(number)).write_bytes(seed)
    return str(folder)


if __name__ == "__main__":
    main()
