"""Three machines of everything, under load: two are cut off in turn, and the topology is upgraded.

Those of `oda chaos --machines` that are over soon: after a machine's death it takes minutes until that one is back.
"""

import json
from collections.abc import Iterator

import pytest

from oda.paths import ROOT
from support import Cluster

FAULTS = ("m1 cut off for 5 s", "m2 cut off for 5 s", "upgrade topology")

SEED = 22
"""With which each of them is struck once."""


@pytest.fixture
def machines(tmp_path) -> Iterator[Cluster]:
    """Environment `machines` of config.json, with data, certificates and namespaces of its own. As root."""
    config = json.loads((ROOT / "config.json").read_text().replace("/etc/oda/machines", str(tmp_path / "certificates")))
    config["envs"]["machines"]["servers"] |= {"data": str(tmp_path / "data"), "namespaces": "odatest"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    found = Cluster(path, "machines")
    try:
        found.oda("machines", "up")
        yield found
    finally:
        found.oda("machines", "down")


@pytest.mark.timeout(5400)  # three of each server, on the cores of one machine
def test_nothing_is_lost_or_counted_twice(machines: Cluster):
    only = [argument for name in FAULTS for argument in ("--only", name)]
    run = ["chaos", "--machines", "--minutes", 60, "--faults", len(FAULTS), "--seed", SEED, *only]
    done = machines.oda(*run, timeout=5000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    struck = [line for line in done.stdout.splitlines() if line.endswith(FAULTS)]
    assert len(struck) == done.stdout.count(" 0 rows are wrong") == len(FAULTS), done.stdout
