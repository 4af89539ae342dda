"""Three machines, everything between them encrypted and authenticated, of which a seed lets one after the other go."""

import json
import subprocess

import pytest

from oda.paths import ROOT
from support import Cluster

SEED = 3267
"""Two apart, the death of one, one cut off for 5 s."""
FAULTS = 3

MAKES_NAMESPACES = not subprocess.run(["unshare", "--net", "--uts", "--mount", "true"], capture_output=True).returncode


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """As `oda machines up` makes them, beside any that are up."""
    folder = tmp_path_factory.mktemp("machines")
    config = json.loads((ROOT / "config.json").read_text().replace("/etc/oda/machines", str(folder / "keys")))
    config["envs"]["machines"]["servers"] |= {"data": str(folder / "data"), "namespaces": "odatest"}
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    machines = Cluster(path, "machines")
    machines.oda("machines", "up", timeout=1800)
    yield machines
    machines.oda("machines", "down")


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not MAKES_NAMESPACES, reason="who runs this may not make network namespaces")
def test_a_few_faults_of_machines_chosen_by_a_seed(machines: Cluster) -> None:
    """Audited after each: nothing lost, nothing counted twice."""
    done = machines.oda("chaos", "--machines", "--faults", FAULTS, "--seed", SEED, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
