"""Environment `machines` of config.json: three of each server, each on a machine of its own, and a place for people."""

import json
import shutil
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ruamel.yaml import YAML

from oda.admin.rights import ROLES
from oda.cluster.accounts import make_passwords, write_environments
from oda.cluster.cassandra import CassandraNode
from oda.cluster.certificates import make_certificates
from oda.cluster.elasticsearch import ElasticsearchNode
from oda.cluster.layout import CLUSTER, Layout, load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.network import SLACK_NS, Network
from oda.cluster.server import Server
from oda.cluster.software import Software
from oda.cluster.storm_daemons import Supervisor
from oda.cluster.zookeeper import ZooKeeper
from oda.errors import UserError
from oda.settings import load_options

CONFIG = CLUSTER.parent / "config.json"

CACHE: Any = SimpleNamespace(files=lambda _module: [Path("/jamm-0.4.0.jar")])

SOFTWARE = Software(Path("/jdk"), CACHE, Path("/storm"), Path("/elasticsearch"))


def written(folder: Path, **servers: Any) -> Path:
    document = json.loads(CONFIG.read_text())
    section = document["envs"]["machines"]
    section["servers"] |= {"data": "data", "certificates": "pki"} | servers
    section["options"] = {
        name: value.replace("/etc/oda/machines", f"{folder}/pki") if isinstance(value, str) else value
        for name, value in section["options"].items()
    }
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: keys take their time."""
    folder = tmp_path_factory.mktemp("pki")
    machines = load_layout(CONFIG, "machines").machines
    make_certificates(folder, {machine.name: [machine.name, machine.address] for machine in machines})
    make_passwords(folder)
    return folder


@pytest.fixture
def layout(tmp_path: Path, certificates: Path) -> Layout:
    """As `oda machines up` makes it: an administrator's, with certificates and passwords."""
    shutil.copytree(certificates, tmp_path / "pki")
    config = written(tmp_path)
    return load_layout(write_environments(config, "machines", load_layout(config, "machines")), "admin")


def servers(layout: Layout, kind: type[Server]) -> list[Any]:
    return [server for server in LocalCluster(layout, SOFTWARE).servers if isinstance(server, kind)]


def properties(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and line[0] != "#")


def test_the_projects_own_is_three_of_each_and_a_place_for_people() -> None:
    layout = load_layout(CONFIG, "machines")
    on: dict[str, list[str]] = {machine.name: [] for machine in layout.machines}
    for server in LocalCluster(layout, SOFTWARE).servers:
        on[server.machine.name].append(server.name)
    for n in (1, 2, 3):
        kinds = ("zookeeper", "elasticsearch", "cassandra", "kafka", "supervisor")
        assert on[f"m{n}"] == [f"{kind}-{n}" for kind in kinds]
    assert on["m4"] == ["nimbus", "ui"]
    assert Network(layout).people.name == "m4"


def test_it_outlives_any_one_of_the_three() -> None:
    options = load_options(CONFIG, "machines")
    assert options["oda.kafka.replication"] == options["oda.cassandra.replication"] == options["topology.workers"] == 3
    assert options["oda.elasticsearch.replicas"] == 1
    layout = load_layout(CONFIG, "machines")
    slots = [len(place.ports) - 1 for place in layout.places["supervisor"]]
    assert sum(slots) - max(slots) >= options["topology.workers"]


def test_machines_may_have_the_same_port_and_one_machine_may_not(tmp_path: Path) -> None:
    load_layout(written(tmp_path), "machines")
    with pytest.raises(UserError, match="port 9042 is given to two servers"):
        load_layout(written(tmp_path, kafka_controller_ports=[9093, 9042, 9093]), "machines")


def test_an_address_of_no_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'127\.1\.0\.11:9092': the local cluster starts its servers at 127\.2\.0\.1:"):
        load_layout(written(tmp_path, machines={"a": "127.2.0.1"}), "machines")
    with pytest.raises(UserError, match=r"servers\.machines\.a"):
        load_layout(written(tmp_path, machines={"a": "m1"}), "machines")


def test_zookeepers_know_each_other_by_address(layout: Layout) -> None:
    for zookeeper in LocalCluster(layout, SOFTWARE).servers[:3]:
        zookeeper.prepare()
        configured = properties(zookeeper.conf / "zoo.cfg")
        assert [configured[f"server.{n}"] for n in (1, 2, 3)] == [f"127.1.0.1{n}:2888:3888" for n in (1, 2, 3)]
        assert (zookeeper.folder / "data/myid").read_text() == f"{zookeeper.number}\n"


def test_who_is_cut_off_is_missed_in_order(layout: Layout) -> None:
    """First by ZooKeeper, then by nimbus as a machine, then as the place of workers (docs/guarantees.md)."""
    zookeeper, supervisor = (servers(layout, kind)[0] for kind in (ZooKeeper, Supervisor))
    for server in (zookeeper, supervisor):
        server.prepare()
    quorum = properties(zookeeper.conf / "zoo.cfg")
    leader_missed_ms = int(quorum["tickTime"]) * int(quorum["syncLimit"])
    storm = YAML(typ="safe").load(supervisor.conf / "storm.yaml")
    session_ms, task_ms = storm["storm.zookeeper.session.timeout"], storm["nimbus.task.timeout.secs"] * 1000
    assert leader_missed_ms < session_ms < task_ms < storm["nimbus.task.launch.secs"] * 1000


def test_all_of_cassandra_start_as_seeds(layout: Layout) -> None:
    for node in servers(layout, CassandraNode):
        values = node.values()
        assert values["seeds"] == "127.1.0.11:7000,127.1.0.12:7000,127.1.0.13:7000"
        assert (values["address"], values["replicas"], values["replacing"]) == (node.machine.address, 3, "")


def test_one_that_lost_its_disk_joins_the_others_and_does_not_begin_anew(layout: Layout) -> None:
    for kind in (CassandraNode, ElasticsearchNode):
        for node in servers(layout, kind)[:2]:
            (node.folder / "data").mkdir(parents=True)
    first, _, lost = servers(layout, CassandraNode)
    assert first.values()["replacing"] == ""
    assert lost.values()["seeds"] == "127.1.0.11:7000,127.1.0.12:7000"
    assert lost.values()["replacing"] == "-Dcassandra.replace_address_first_boot=127.1.0.13"
    assert [node.values()["founders"] for node in servers(layout, ElasticsearchNode)[1:]] == [
        '["oda-1", "oda-2", "oda-3"]',
        "[]",
    ]


def test_each_machine_has_a_certificate_of_its_own_names(layout: Layout) -> None:
    for machine in layout.machines:
        folder = layout.certificates_of(machine)
        assert folder == layout.certificates / machine.name
        tls = ssl.create_default_context(cafile=folder / "ca.pem")
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        assert (folder / "server.key").stat().st_mode & 0o77 == 0
    assert len({(layout.certificates / machine.name / "server.pem").read_bytes() for machine in layout.machines}) == 4


def test_what_is_made_stays(layout: Layout) -> None:
    def content() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in layout.certificates.rglob("*.*")}

    before = content()
    make_certificates(layout.certificates, {machine.name: [machine.address] for machine in layout.machines})
    make_passwords(layout.certificates)
    assert content() == before


def test_there_is_an_environment_for_each_account(layout: Layout) -> None:
    config = layout.data / "config.json"
    users = {name: load_options(config, name)["oda.kafka.security.user"] for name in ("admin", "machines", *ROLES)}
    assert users == {"admin": "admin", "machines": "oda-topology"} | {role: f"oda-{role}" for role in ROLES}
    secrets = {Path(load_options(config, name)["oda.cassandra.security.password_file"]).read_text() for name in users}
    assert len(secrets) == 5
    assert load_layout(config, "auditor").data == layout.data


def test_elasticsearch_has_the_accounts_in_its_files(layout: Layout) -> None:
    node = servers(layout, ElasticsearchNode)[1]
    node.prepare()
    users = [line.split(":")[0] for line in (node.conf / "users").read_text().splitlines()]
    assert users == ["admin", *(f"oda-{role}" for role in ROLES)]
    assert "superuser:admin\n" in (node.conf / "users_roles").read_text()
    assert (node.conf / "users").stat().st_mode & 0o77 == 0
    assert "oda-auditor: " in (node.conf / "roles.yml").read_text()
    assert (node.conf / "server.pem").read_bytes() == (layout.certificates / "m2/server.pem").read_bytes()


def test_a_command_runs_in_a_machine_under_its_name(layout: Layout) -> None:
    network = Network(layout)
    line = network.inside(layout.machines[0], ["hostname", "-f"])
    assert line[:2] == ["nsenter", "--net=/run/netns/oda-m1"]
    assert line[-3:] == ["m1", "hostname", "-f"]


def test_those_that_tell_who_lives_come_first_on_cores_that_are_shared(layout: Layout) -> None:
    def first(layout: Layout) -> set[str]:
        cluster = LocalCluster(layout, SOFTWARE)
        return {server.kind for server in cluster.servers if "nice" in cluster.command(server)}

    assert first(layout) == {"zookeeper", "nimbus"}
    assert first(load_layout(CONFIG, "local")) == set()


def test_what_runs_in_a_machine_reaches_its_address_and_waits_as_long_as_costs_little(tmp_path: Path) -> None:
    layout = load_layout(written(tmp_path, namespaces="odaunit"), "machines")
    network, machine = Network(layout), layout.machines[0]
    try:
        network.up()
        script = "hostname; cat /proc/self/timerslack_ns; ip -o addr show eth0; cat /proc/self/cgroup"
        line = network.inside(machine, ["sh", "-c", script])
        found = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    finally:
        network.down()
    assert found.startswith(f"m1\n{SLACK_NS}\n")
    assert f" {machine.address}/24 " in found
    assert "/odaunit-m1\n" in found
    assert not network.is_up
