"""One of three machines dies, two do not hear each other, one comes back without its disk: `oda chaos --machines`."""

import json
import os

import pytest

from oda.paths import ROOT
from support import HANG_SECONDS, Cluster

SEED = 545
FAULTS = 3


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Machines of these tests' own, with certificates and accounts of their own."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    folder = tmp_path_factory.mktemp("machines")
    config = json.loads((ROOT / "config.json").read_text())
    certificates = config["envs"]["machines"]["servers"]["certificates"]
    config = json.loads(json.dumps(config).replace(certificates, str(folder / "certificates")))
    config["envs"]["machines"]["servers"] |= {"data": str(folder / "data"), "namespaces": "odatest"}
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    servers = Cluster(path, "machines")
    try:
        servers.oda("machines", "up", timeout=3 * HANG_SECONDS)
        yield servers
    finally:
        servers.oda("machines", "down")


@pytest.mark.timeout(4 * HANG_SECONDS)
def test_any_one_machine_may_go(machines):
    command = ["chaos", "--machines", "--minutes", 30, "--faults", FAULTS, "--seed", SEED]
    done = machines.oda(*command, timeout=3 * HANG_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
