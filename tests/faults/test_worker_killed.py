"""Kill the worker in mid-stream: nothing lost, nothing counted twice."""

import os
import signal
import subprocess
import time

import psutil

from oda.topology import BIN, ROOT
from support import ENV, wait_until

COMPONENTS = 6


def worker_of(name: str) -> psutil.Process | None:
    """The JVM that runs a topology, once it has started the components."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if (
            "org.apache.storm.daemon.worker.Worker" in command
            and "org.apache.storm.LogWriter" not in command  # its parent, with the same arguments
            and any(part.startswith(f"{name}-") for part in command)
            and len(process.children()) == COMPONENTS
        ):
            return process
    return None


def test_kill_the_worker_in_mid_stream(stream):
    name = stream.settings.kafka.group
    walk = ["collect", "walk", "--series", "20", "--rate", "2000", "--seconds", "40", "--spikes", "300", "--seed", "3"]
    collector = subprocess.Popen([BIN / "oda", "--config", stream.config, *walk], cwd=ROOT, env=ENV)
    killed = set()
    for _ in range(2):
        worker = wait_until(lambda: worker_of(name), 60, "no worker to kill")
        time.sleep(8)
        os.kill(worker.pid, signal.SIGKILL)
        killed.add(worker.pid)
    assert collector.wait(120) == 0
    assert len(killed) == 2
    stream.verify(wait=180)
