"""As many supervisors as config.json has ports for; each is a machine of its own to Storm's scheduler."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oda.chaos.system import System, all_targets
from oda.cluster import processes, storm_daemons
from oda.cluster.layout import CLUSTER, load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import Software
from oda.cluster.storm_daemons import Supervisor

SOFTWARE: Any = Software(Path(), None, Path(), Path())  # type: ignore[arg-type]


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    document = json.loads((CLUSTER.parent / "config.json").read_text())
    two = {"supervisor_ports": [6628, 6629], "worker_ports": [[6700, 6701], [6702, 6703]]}
    document["servers"] |= {"data": "data", **two}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(document))
    return LocalCluster(load_layout(config, "local"), SOFTWARE)


def configured(server: Any) -> dict[str, str]:
    lines = (server.conf / "storm.yaml").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition(": ") for line in lines)}


def test_each_is_a_server_with_ports_and_a_folder_of_its_own(cluster: LocalCluster) -> None:
    supervisors = [server for server in cluster.servers if isinstance(server, Supervisor)]
    assert [server.name for server in supervisors] == ["supervisor-1", "supervisor-2"]
    assert [server.ports for server in supervisors] == [[6628, 6700, 6701], [6629, 6702, 6703]]
    assert supervisors[0].folder != supervisors[1].folder


def test_each_is_a_machine_with_slots_of_its_own(cluster: LocalCluster) -> None:
    for server in cluster.servers:
        if isinstance(server, Supervisor):
            server.prepare()
            found = configured(server)
            assert found["storm.local.hostname"] == f"127.0.0.{server.number}"
            assert found["supervisor.thrift.port"] == str(server.ports[0])
            assert found["supervisor.slots.ports"] == str(server.ports[1:])
            assert found["storm.local.dir"] == f"{server.folder}/local"


def test_the_logviewer_learns_of_workers_where_a_supervisor_notes_them(cluster: LocalCluster) -> None:
    logviewer = next(server for server in cluster.servers if server.name == "logviewer")
    assert logviewer.conf == next(server for server in cluster.servers if server.name == "supervisor-1").conf


def test_one_does_not_serve_because_another_does(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    known = SimpleNamespace(supervisors=[SimpleNamespace(host="127.0.0.1")])
    monkeypatch.setattr(storm_daemons, "_cluster_info", lambda _port: known)
    first, second = (server for server in cluster.servers if isinstance(server, Supervisor))
    first.probe()
    with pytest.raises(ConnectionError, match="nimbus has not heard of supervisor-2 yet"):
        second.probe()


def test_faults_strike_each_and_find_the_workers_of_all(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worker:
        def __init__(self, age: float, topology: str) -> None:
            self._command = ["java", "org.apache.storm.daemon.worker.Worker", f"{topology}-1-123"]
            self._age = age

        def cmdline(self) -> list[str]:
            return self._command

        def create_time(self) -> float:
            return self._age

        def cwd(self) -> str:
            return "/"

    older, newer, stranger = Worker(1, "oda"), Worker(2, "oda"), Worker(0, "other")
    found = {"supervisor-1": [newer, stranger], "supervisor-2": [older], "kafka-1": [Worker(0, "oda")]}
    monkeypatch.setattr(processes, "find", lambda _data: found)
    system = System(cluster, None, None, "oda")  # type: ignore[arg-type]
    assert system.workers() == [older, newer]
    targets = {target.name: target for target in all_targets(system)}
    assert {"server supervisor-1", "server supervisor-2"} <= targets.keys()
    assert targets["worker"].find(system) == [older]
    assert targets["all workers"].find(system) == [older, newer]
