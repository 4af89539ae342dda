"""The components of `topologies/analytics.py`, as that declares them."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from unittest.mock import patch

from oda.paths import ROOT
from oda.storm.topologies import TOPOLOGY
from sim.storm import Component


@cache
def components() -> list[Component]:
    """Each with one executor; spouts come last, so that there is somebody to hear them."""
    spec = importlib.util.spec_from_file_location("topology_under_simulation", ROOT / "topologies" / f"{TOPOLOGY}.py")
    module = importlib.util.module_from_spec(spec)
    with patch.object(sys, "argv", ["sparse", "-e", "local"]):
        spec.loader.exec_module(module)
    found = [
        Component(
            spec.name,
            spec.component_cls,
            frozenset((id.componentId, id.streamId) for id in spec.inputs or {}),
            executors=1,
            ticks="topology.tick.tuple.freq.secs" in (spec.config or {}),
        )
        for spec in module.Analytics.specs
    ]
    return sorted(found, key=lambda component: component.is_spout)
