"""config.json says where the servers are; what is wrong in it is said in one line."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oda.cluster.layout import CLUSTER, load_layout
from oda.cluster.local import check_memory, check_ports
from oda.cluster.software import Software
from oda.cluster.zookeeper import ZooKeeper
from oda.errors import UserError

CONFIG = CLUSTER.parent / "config.json"


def changed(folder: Path, **servers: Any) -> Path:
    document = json.loads(CONFIG.read_text())
    document["envs"]["local"] |= servers.pop("local", {})
    document["servers"] |= servers
    config = folder / "config.json"
    config.write_text(json.dumps(document))
    return config


def test_data_is_relative_to_the_configuration(tmp_path: Path) -> None:
    layout = load_layout(changed(tmp_path, data="cluster-data"), "local")
    assert layout.data == tmp_path / "cluster-data"


def test_the_projects_own_configuration_is_right() -> None:
    assert load_layout(CONFIG, "local").places["supervisor"][0].ports["supervisor"] == 6628


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zookeeper_port": 9092}, "port 9092 is given to two servers"),
        ({"kafka_controller_ports": [9092]}, "port 9092 is given to two servers"),
        ({"kafka_controller_ports": [9093, 9095]}, "oda.kafka.brokers lists 1 and servers.kafka_controller_ports 2;"),
        ({"zookeeper_port": "x"}, "servers.zookeeper_port"),
        ({"zoo": 1}, "servers.zoo"),
        ({"worker_ports": [[]]}, "servers.worker_ports.0"),
        ({"supervisor_ports": [], "worker_ports": []}, "servers.supervisor_ports"),
        ({"supervisor_ports": [6628, 6629]}, "servers.supervisor_ports lists 2 and servers.worker_ports 1;"),
        ({"worker_ports": [[6700, 6628]]}, "port 6628 is given to two servers"),
        ({"supervisor_ports": [1, 2], "worker_ports": [[3], [3]]}, "port 3 is given to two servers"),
        ({"local": {"nimbus": "nimbus"}}, "nimbus is 'nimbus': the local cluster starts its servers at 127.0.0.1:PORT"),
        ({"local": {"nimbus": "127.0.0.1:x"}}, "nimbus is '127.0.0.1:x'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match="^.*" + message.replace(".", r"\.")):
        load_layout(changed(tmp_path, **changes), "local")


def test_more_replicas_than_brokers_are_refused(tmp_path: Path) -> None:
    options = json.loads(CONFIG.read_text())["envs"]["local"]["options"] | {"oda.kafka.replication": 4}
    with pytest.raises(UserError, match=r"oda\.kafka\.replication is 4, and oda\.kafka\.brokers lists 1"):
        load_layout(changed(tmp_path, local={"options": options}), "local")


def test_an_environment_on_other_machines_is_refused() -> None:
    with pytest.raises(UserError, match=r"oda\.kafka\.brokers is 'kafka:9092'"):
        load_layout(CONFIG, "cluster")


@pytest.mark.parametrize("name", ["a:b", "a,b", 'a"b', "a\\b", "a\nb", "a${b}", "a\udcffb"])
def test_a_folder_that_the_servers_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UserError, match=r"^servers\.data is '.*': the servers can't use a folder with '.+' in its name$"
    ):
        load_layout(changed(tmp_path, data=name), "local")


@pytest.mark.parametrize(
    "name", ["naïve", "日本 😀", "a b@c%d$e#f&g'h(i)[j]{k}!~^=+;<>|`*?", "/".join(["long" * 50] * 5)]
)
def test_a_folder_of_any_other_name_is_found_by_all(tmp_path: Path, name: str) -> None:
    server = zookeeper(changed(tmp_path, data=name))
    server.prepare()
    configured = (server.conf / "zoo.cfg").read_bytes().decode("latin-1")
    (folder,) = [line.removeprefix("dataDir=") for line in configured.splitlines() if line.startswith("dataDir=")]
    as_java_reads_it = re.sub(r"((?:\\u[0-9a-f]{4})+)", lambda found: json.loads(f'"{found[0]}"'), folder)
    assert as_java_reads_it == f"{tmp_path / name}/zookeeper/data"


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_locale_in_which_java_would_not_find_it_is_refused(tmp_path: Path, locale: str) -> None:
    config = changed(tmp_path, data="naïve")
    program = "import sys; from pathlib import Path; from oda.cluster.layout import load_layout; "
    program += "load_layout(Path(sys.argv[1]), 'local')"
    command = [sys.executable, "-c", program, str(config)]
    done = subprocess.run(command, env={"LC_ALL": locale}, capture_output=True, text=True, check=False)
    assert "Set LC_ALL=C.UTF-8" in done.stderr
    assert subprocess.run(command, env={"LC_ALL": "C.UTF-8"}, check=False).returncode == 0


def zookeeper(config: Path) -> ZooKeeper:
    # What a port is asked for needs no software.
    return ZooKeeper(load_layout(config, "local"), Software(Path(), None, Path(), Path()))  # type: ignore[arg-type]


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = zookeeper(changed(tmp_path, zookeeper_port=port))
        with pytest.raises(UserError, match=rf"zookeeper needs port {port}, which py.*\(pid \d+\) holds"):
            check_ports([server], [])
        check_ports([server], [os.getpid()])


def test_too_little_memory_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ZooKeeper, "memory_mb", 10_000_000)
    with pytest.raises(UserError, match="need about 10000000 MB of memory"):
        check_memory([zookeeper(changed(tmp_path))])
