"""A fourth machine: in the layout, in config.json, in its servers' configuration; and the last that joined leaves."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tenacity import wait_none

from oda.cluster import joining, nodetool
from oda.cluster.accounts import environments
from oda.cluster.broker import Broker
from oda.cluster.cassandra import CassandraNode
from oda.cluster.elasticsearch import ElasticsearchNode
from oda.cluster.grown import grown, shrunk
from oda.cluster.layout import CLUSTER, Layout, load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.machines import described, join, joined, leave, prepare
from oda.cluster.network import Network
from oda.cluster.server import Server
from oda.cluster.software import Software
from oda.errors import UserError
from oda.settings import load_options

CACHE: Any = SimpleNamespace(files=lambda _module: [Path("/jamm-0.4.0.jar")])

SOFTWARE = Software(Path("/jdk"), CACHE, Path("/storm"), Path("/elasticsearch"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like the project's own, in a folder of ours; made once, since keys take their time."""
    folder = tmp_path_factory.mktemp("project")
    text = (CLUSTER.parent / "config.json").read_text().replace("/etc/oda/machines", f"{folder}/pki")
    document = json.loads(text)
    document["envs"]["machines"]["servers"]["data"] = "data"
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    prepare(path)
    return path


@pytest.fixture
def three(config: Path) -> Layout:
    """As `oda machines up` makes it."""
    shutil.rmtree(described(config).data)
    return prepare(config)


@pytest.fixture
def four(three: Layout) -> Layout:
    return join(three, "m5")


def mine(layout: Layout, kind: type[Server]) -> Any:
    """That of the fourth."""
    (server,) = [
        server
        for server in LocalCluster(layout, SOFTWARE).servers
        if isinstance(server, kind) and server.machine.name == "m5"
    ]
    return server


def named(layout: Layout, name: str) -> Any:
    return next(server for server in LocalCluster(layout, SOFTWARE).servers if server.name == name)


def properties(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and line[0] != "#")


def test_it_has_one_of_each_but_no_controller_and_no_zookeeper(four: Layout) -> None:
    found = [server for server in LocalCluster(four, SOFTWARE).servers if server.machine.name == "m5"]
    assert [server.name for server in found] == ["elasticsearch-4", "cassandra-4", "kafka-4", "supervisor-4"]
    assert {server.machine.address for server in found} == {"127.1.0.15"}
    assert list(four.places["kafka"][3].ports) == ["kafka", "kafka_internal"]
    assert [place.machine.name for place in four.places["zookeeper"]] == ["m1", "m2", "m3"]
    assert Network(four).people.name == "m4"


def test_its_workers_have_ports_and_logs_of_their_own(four: Layout) -> None:
    workers = [list(place.ports.values())[1:] for place in four.places["supervisor"]]
    assert workers[3] == [6706, 6707]
    assert len({port for ports in workers for port in ports}) == 8


def test_each_account_knows_it_and_it_has_a_certificate(four: Layout) -> None:
    file = environments(four)
    for name in json.loads(file.read_text())["envs"]:
        options = load_options(file, name)
        assert options["oda.kafka.brokers"].endswith(",127.1.0.15:9092")
        assert options["oda.cassandra.hosts"].endswith(",127.1.0.15:9042")
        assert options["oda.elasticsearch.urls"].endswith(",https://127.1.0.15:9200")
        assert options["topology.workers"] == 4
        assert options["oda.kafka.replication"] == 3
    assert four.certificates
    assert (four.certificates / "m5/server.pem").exists()
    assert four.settings.kafka.security.user == "admin"


def test_it_is_a_broker_only(four: Layout) -> None:
    fourth, voter = mine(four, Broker), named(four, "kafka-3")
    for broker in (fourth, voter):
        Server.prepare(broker)
    configured, other = (properties(broker.conf / "server.properties") for broker in (fourth, voter))
    assert (configured["process.roles"], other["process.roles"]) == ("broker", "broker,controller")
    assert configured["node.id"] == "4"
    assert configured["controller.quorum.voters"] == other["controller.quorum.voters"]
    assert configured["controller.quorum.voters"].endswith(",3@127.1.0.13:9093")
    assert configured["listeners"] == "CLIENT://127.1.0.15:9092,INTERNAL://127.1.0.15:9094"
    assert other["listeners"].endswith(",CONTROLLER://127.1.0.13:9093")
    assert "CONTROLLER:SSL" in configured["listener.security.protocol.map"]


def test_controllers_make_the_first_account(four: Layout) -> None:
    assert not any("SCRAM" in word for word in mine(four, Broker).formatting("id"))
    assert "--add-scram" in named(four, "kafka-1").formatting("id")


def test_it_is_no_seed_and_takes_its_rows_from_the_others(four: Layout) -> None:
    first, node = named(four, "cassandra-1"), mine(four, CassandraNode)
    assert node.values()["seeds"] == first.values()["seeds"] == "127.1.0.11:7000,127.1.0.12:7000,127.1.0.13:7000"
    assert mine(four, ElasticsearchNode).values()["founders"] == "[]"
    (first.folder / "data").mkdir(parents=True)
    assert "127.1.0.15" in node.values()["replacing"]  # its disk is lost
    (node.folder / "data").mkdir(parents=True)
    assert node.values()["replacing"] == ""  # its disk is new


def test_it_is_there_at_the_next_start_too(four: Layout, config: Path) -> None:
    assert [machine.name for machine in joined(prepare(config))] == ["m5"]
    assert described(config).machines == four.machines


def test_the_last_that_joined_leaves_nothing_behind_in_the_environments(three: Layout) -> None:
    before = environments(three).read_text()
    four = join(three, "m5")
    five = join(four, "m6")
    assert [place.machine.address for place in five.places["kafka"]][3:] == ["127.1.0.15", "127.1.0.16"]
    assert leave(five).machines == four.machines
    assert leave(four).machines == three.machines
    left = json.loads(environments(three).read_text())
    assert left["envs"].keys() == json.loads(before)["envs"].keys()
    for name, section in left["envs"].items():
        assert section.pop("servers").pop("joined") == []
        assert section == {k: v for k, v in json.loads(before)["envs"][name].items() if k != "servers"}


def test_what_was_given_stays_as_it_is(four: Layout) -> None:
    section = json.loads(environments(four).read_text())["envs"]["admin"]
    text = json.dumps(section)
    assert shrunk(grown(section, "m6")) == section
    assert json.dumps(section) == text


@pytest.mark.parametrize(("name", "reason"), [("m1", "a machine m1 already"), ("M_5", r"servers\.machines")])
def test_a_name_that_can_not_be_its_changes_nothing(three: Layout, name: str, reason: str) -> None:
    before = environments(three).read_text()
    with pytest.raises(UserError, match=reason):
        join(three, name)
    assert environments(three).read_text() == before


def test_one_that_joined_is_listed_after_the_others(four: Layout, tmp_path: Path) -> None:
    document = json.loads(environments(four).read_text())
    options = document["envs"]["admin"]["options"]
    first, *others = options["oda.kafka.brokers"].split(",")
    options["oda.kafka.brokers"] = ",".join([*others, first])
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"servers\.joined"):
        load_layout(file, "admin")


class Noted:
    """What is done to servers that there are none of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        for name in ("up", "kill", "remove"):
            monkeypatch.setattr(Network, name, self._noting(f"network {name}"))
        monkeypatch.setattr(LocalCluster, "up", lambda cluster, _: self.done.append(f"start {len(cluster.servers)}"))
        monkeypatch.setattr(LocalCluster, "down", lambda _, names: self.done.append(f"end {' '.join(names)}"))
        monkeypatch.setattr(joining.shares, "give", lambda _, broker: self.done.append(f"replicas to {broker}"))
        monkeypatch.setattr(joining.shares, "take", lambda _, broker: self.done.append(f"replicas from {broker}"))
        monkeypatch.setattr(joining, "nodetool", lambda _, node, word: self.done.append(f"{word} {node.name}"))
        monkeypatch.setattr(joining, "_deal_out", lambda _, workers: self.done.append(f"{workers} workers"))
        monkeypatch.setattr(joining, "_is_known", lambda _: False)
        monkeypatch.setattr(joining, "_empty", lambda _, node: self.done.append(f"shards from {node}"))
        monkeypatch.setattr(joining, "_exclude", lambda *of: self.done.append(f"exclude {of[1]}"))

    def _noting(self, what: str) -> Any:
        return lambda _, *of: self.done.append(" ".join([what, *(machine.name for machine in of)]))


def test_it_is_started_and_given_its_share(three: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    noted, cluster = Noted(monkeypatch), LocalCluster(three, SOFTWARE)
    cleanups = [f"cleanup cassandra-{number}" for number in (1, 2, 3)]
    told = ["network up", f"start {len(cluster.servers) + 4}", "replicas to 4", *cleanups, "4 workers"]
    joining.add(cluster, "m5", lambda *_: None)
    assert noted.done == told
    assert (three.data / "cassandra-4/data").is_dir()
    joining.add(cluster, "m5", lambda *_: None)
    assert noted.done == told * 2


def test_it_hands_back_its_share_before_it_goes(four: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    noted, cluster = Noted(monkeypatch), LocalCluster(four, SOFTWARE)
    mine = [server for server in cluster.servers if server.machine.name == "m5"]
    for server in mine:
        server.folder.mkdir(exist_ok=True)
    joining.remove(cluster, "m5", lambda *_: None)
    assert noted.done == [
        f"start {len(cluster.servers)}",
        "end supervisor-4",
        "3 workers",
        "shards from oda-4",
        "replicas from 4",
        "decommission cassandra-4",
        "end elasticsearch-4 cassandra-4 kafka-4 supervisor-4",
        "network kill m5",
        "network remove m5",
        "network up",
        "exclude None",
    ]
    assert not [server.folder for server in mine if server.folder.exists()]
    assert joined(load_layout(environments(four), "admin")) == []


def test_only_the_last_that_joined_can_be_removed(four: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    noted, cluster = Noted(monkeypatch), LocalCluster(four, SOFTWARE)
    with pytest.raises(UserError, match="only the last that joined can; these did: m5"):
        joining.remove(cluster, "m1", lambda *_: None)
    assert noted.done == []


def test_nodetool_is_let_in_only_while_it_works(four: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        ran.append(command)
        failed = command[-1] == "cleanup"
        return SimpleNamespace(returncode=int(failed), stdout="", stderr="no such table")

    monkeypatch.setattr(nodetool.subprocess, "run", run)
    monkeypatch.setattr(nodetool.processes, "find_servers", lambda _: {"cassandra-1": SimpleNamespace(pid=7)})
    network, node = Network(four), named(four, "cassandra-1")
    with pytest.raises(UserError, match="nodetool cleanup failed on cassandra-1: no such table"):
        nodetool.nodetool(network, node, "cleanup")
    assert all("--net=/run/netns/oda-m1" in command for command in ran)
    start, command, stop = ran
    assert start[start.index("7") + 1 :][:2] == ["ManagementAgent.start", "jmxremote.host=127.0.0.1"]
    assert command[-6:] == ["org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", "7199", "cleanup"]
    assert stop[-2:] == ["7", "ManagementAgent.stop"]
    with pytest.raises(UserError, match="cassandra-4 does not run"):
        nodetool.nodetool(network, mine(four, CassandraNode), "cleanup")


def test_a_node_is_empty_when_no_shard_is_on_it_nor_on_its_way(four: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ["oda-1", "oda-4"],
        ["oda-1", "oda-4 -> 127.1.0.12 x oda-2"],
        [None, "oda-1", "oda-3 -> 127.1.0.12 x oda-2"],
    ]
    asked: list[Any] = []
    elastic: Any = SimpleNamespace(
        cat=SimpleNamespace(shards=lambda **_: [{"node": node} for node in rows.pop(0)]),
        cluster=SimpleNamespace(put_settings=lambda persistent: asked.append(persistent)),
    )
    monkeypatch.setattr(joining, "connect", lambda _: nullcontext(elastic))
    monkeypatch.setattr(joining.tenacity, "wait_fixed", lambda _: wait_none())
    joining._empty(four, "oda-4")
    assert rows == []
    assert asked == [{"cluster.routing.allocation.exclude._name": "oda-4"}]
