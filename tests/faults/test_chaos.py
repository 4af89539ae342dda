"""Faults chosen by a seed: nothing lost, nothing counted twice. `oda chaos` is the same for longer."""

import pytest

SEED = 1457
FAULTS = 7


@pytest.mark.timeout(1200)
def test_a_few_faults_chosen_by_a_seed(cluster):
    done = cluster.oda("chaos", "--minutes", 30, "--faults", FAULTS, "--seed", SEED, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
