"""Runs a peer's program once for each worker, and ends all of them with the first."""

import os
import signal
import subprocess
from collections.abc import Sequence

WORKERS = int(os.environ.get("WORKERS", "1"))


def run(commands: Sequence[Sequence[str]]) -> int:
    """Return the exit code of the first that ends; SIGTERM ends all."""
    running = [subprocess.Popen(command) for command in commands]

    def end(*_: object) -> None:
        for process in running:
            process.terminate()

    signal.signal(signal.SIGTERM, end)
    try:
        pid, status = os.wait()
    finally:
        end()
    for process in running:
        if process.pid != pid:
            process.wait()
    return os.waitstatus_to_exitcode(status)
