"""Two workers on two supervisors: which of them a partition is in."""

import re
from pathlib import Path

from oda.cluster.layout import load_layout
from oda.kafka.topics import create_topics
from oda.settings import Parallelism
from support import wait_until

TAKEN_ON = re.compile(r"partition (\d+) (goes on )?from offset")


def test_with_executors_for_each_worker_a_partition_stays_in_one(cluster, tmp_path):
    isolated = cluster.isolated(tmp_path, **{f"parallelism__{name}": 2 for name in Parallelism.model_fields})
    layout = load_layout(cluster.config, cluster.env)
    create_topics(isolated.settings.kafka)
    name = isolated.settings.kafka.group
    with isolated.storm.running(name, "topology.workers=2", "topology.acker.executors=2"):
        isolated.oda("collect", "walk", "--series", 40, "--rate", 500, "--count", 2000)
        isolated.verify()
        found = wait_until(lambda: all_taken_on(layout.logs, name), "not every partition was taken on")
    spouts, bolts = ({p: port for p, is_bolt, port in found if is_bolt == wanted} for wanted in (False, True))
    assert spouts == bolts, "from one worker to the other"
    used = {port for _, _, port in found}
    supervisors = [set(place.ports.values()) for place in layout.places["supervisor"]]
    assert [len(used & ports) for ports in supervisors] == [1, 1], "one worker on each supervisor"


def all_taken_on(logs: Path, name: str):
    """Each partition twice, by the spout and by the window bolt: its number, by the bolt or not, the worker's port."""
    found = {
        (int(partition), bool(by_bolt), int(log.parent.name))
        for log in logs.glob(f"workers-artifacts/{name}-*/*/worker.log")
        for partition, by_bolt in TAKEN_ON.findall(log.read_text())
    }
    return found if len(found) == 2 * 4 else None
