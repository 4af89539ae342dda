"""Few nodes of one store on machines: what `oda bench nodes` measures."""

from pathlib import Path

import pytest

from oda.bench.filling import PARTS
from oda.bench.nodes import cases, config_of
from oda.cluster.layout import load_layout
from oda.paths import ROOT
from oda.settings import Settings
from oda.stores.catalogue import STORES


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)
def test_of_one_store_there_are_as_many_nodes_and_copies_as_a_case_says(store, tmp_path: Path):
    usual = load_layout(ROOT / "config.json", "machines").places
    assert [case.nodes for case in cases(store)] == [1, 2, 3, 3]
    for case in cases(store):
        found = load_layout(config_of(ROOT / "config.json", store, case, tmp_path), "machines")
        assert len(found.places[store.name]) == case.nodes
        assert copies(found.settings)[store.name] == case.copies
        others = {other.name for other in STORES} - {store.name}
        assert [len(found.places[name]) for name in others] == [len(usual[name]) for name in others]
        assert {str(machine.namespace)[:8] for machine in found.machines} == {"odabench"}


def test_shards_and_partitions_are_as_many_on_each_node():
    assert {PARTS % case.nodes for store in STORES for case in cases(store)} == {0}


def copies(settings: Settings) -> dict[str, int]:
    return {
        "kafka": settings.kafka.replication,
        "cassandra": settings.cassandra.replication,
        "elasticsearch": settings.elasticsearch.replicas + 1,
    }
