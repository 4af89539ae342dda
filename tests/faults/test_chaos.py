"""Faults chosen by a seed: nothing lost, nothing counted twice. `oda chaos` is the same for longer."""

import signal
import subprocess

import psutil
import pytest

from oda.cluster import processes
from oda.cluster.layout import load_layout
from oda.paths import BIN, ROOT
from support import ENV, HANG_SECONDS

SEED = 1457
FAULTS = 5


@pytest.mark.timeout(1200)
def test_a_few_faults_chosen_by_a_seed(cluster):
    done = cluster.oda("chaos", "--minutes", 30, "--faults", FAULTS, "--seed", SEED, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sigterm_ends_it_in_order(cluster):
    """The paused server works again, the topology is gone."""
    before = topologies(cluster)
    command = [BIN / "oda", "--config", cluster.config, "chaos", "--only", "pause server elasticsearch"]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, text=True) as chaos:
        for line in chaos.stdout:
            if "pause server" in line:
                break
        chaos.send_signal(signal.SIGTERM)
        chaos.communicate(timeout=HANG_SECONDS)
    assert chaos.returncode == 128 + signal.SIGTERM
    assert topologies(cluster) == before
    server = processes.find_servers(load_layout(cluster.config, cluster.env).data)["elasticsearch"]
    assert server.status() != psutil.STATUS_STOPPED


def topologies(cluster):
    return {row["name"] for row in cluster.storm.api.ask("topology/summary")["topologies"]}
