"""As many brokers as config.json lists are one Kafka that outlives the death of one of three."""

import json
from pathlib import Path
from typing import Any

import pytest

from oda.cluster.broker import Broker
from oda.cluster.layout import CLUSTER, load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import Software
from oda.errors import UserError


class NothingToRun(Broker):
    """Formats without Java."""

    def command(self) -> list[str]:
        return []

    def _java(self, *main: str) -> list[str]:
        (cluster_id,) = [word.removeprefix("--cluster-id=") for word in main if word.startswith("--cluster-id=")]
        properties = Path(main[-1])
        (folder,) = [line[9:] for line in properties.read_text().splitlines() if line.startswith("log.dirs=")]
        script = f"mkdir {folder} && echo cluster.id={cluster_id} > {folder}/meta.properties"
        return ["sh", "-c", script]


SOFTWARE: Any = Software(Path(), None, Path(), Path())  # type: ignore[arg-type]


def brokers(folder: Path, count: int) -> list[Broker]:
    document = json.loads((CLUSTER.parent / "config.json").read_text())
    addresses = ",".join(f"127.0.0.1:{9092 + 2 * n}" for n in range(count))
    document["envs"]["local"]["options"] |= {"oda.kafka.brokers": addresses, "oda.kafka.replication": 1}
    document["servers"] |= {"kafka_controller_ports": [9093 + 2 * n for n in range(count)], "data": "data"}
    config = folder / "config.json"
    config.write_text(json.dumps(document))
    layout = load_layout(config, "local")
    return [NothingToRun(layout, SOFTWARE, number) for number in range(1, count + 1)]


def properties(broker: Broker) -> dict[str, str]:
    lines = (broker.conf / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_each_broker_is_a_server_with_ports_and_a_folder_of_its_own(tmp_path: Path) -> None:
    layout = brokers(tmp_path, 3)[0].layout
    servers = [server for server in LocalCluster(layout, SOFTWARE).servers if isinstance(server, Broker)]
    assert [server.name for server in servers] == ["kafka-1", "kafka-2", "kafka-3"]
    assert [server.ports for server in servers] == [[9092, 9093], [9094, 9095], [9096, 9097]]
    assert len({server.folder for server in servers} | {server.log for server in servers}) == 6


def test_all_vote_and_know_who_they_are(tmp_path: Path) -> None:
    for broker in brokers(tmp_path, 3):
        broker.prepare()
        configured = properties(broker)
        assert configured["node.id"] == str(broker.number)
        assert configured["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097"
        assert configured["listeners"].endswith(f"127.0.0.1:{broker.ports[0]},CONTROLLER://127.0.0.1:{broker.ports[1]}")


@pytest.mark.parametrize(("count", "replicas", "in_sync"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 3, 2)])
def test_internal_topics_go_on_without_one_broker(tmp_path: Path, count: int, replicas: int, in_sync: int) -> None:
    broker = brokers(tmp_path, count)[0]
    broker.prepare()
    configured = properties(broker)
    assert configured["offsets.topic.replication.factor"] == str(replicas)
    assert configured["transaction.state.log.replication.factor"] == str(replicas)
    assert configured["transaction.state.log.min.isr"] == configured["min.insync.replicas"] == str(in_sync)


def test_all_are_formatted_as_one_kafka_whoever_comes_first(tmp_path: Path) -> None:
    for broker in reversed(brokers(tmp_path, 3)):
        broker.prepare()
        broker.prepare()
    formatted = {file.read_text() for file in (tmp_path / "data").glob("kafka-*/data/meta.properties")}
    assert len(formatted) == 1


@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 1)])
def test_another_number_of_brokers_is_refused_and_spoils_nothing(tmp_path: Path, before: int, now: int) -> None:
    for broker in brokers(tmp_path, before):
        broker.prepare()
    for _ in range(2):
        with pytest.raises(UserError, match=rf"data of {before} Kafka brokers, and oda\.kafka\.brokers lists {now}"):
            brokers(tmp_path, now)[0].prepare()
    brokers(tmp_path, before)[0].prepare()
