"""The compose files: valid, and the secured one runs its servers with the settings of `oda machines up`.

There is no Docker here. So what is compared is what the containers would read: their files, made by `oda compose
configure`, setting by setting with those of the machines that the other tests run.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from ruamel.yaml import YAML

from oda.cluster import compose
from oda.cluster.artifacts import pinned
from oda.cluster.broker import Broker
from oda.cluster.layout import Layout, load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.machines import prepare
from oda.cluster.server import Server
from oda.paths import ROOT

FOLDER = ".oda/compose"
"""Of the host's, which the containers have as /oda."""

SETTINGS = {"zoo.cfg", "server.properties", "cassandra.yaml", "elasticsearch.yml", "storm.yaml"}


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(ROOT / name)
    return document


SECURED: dict[str, Any] = read("docker-compose.secured.yml")["services"]


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.secured.yml"])
def test_it_is_valid(name: str) -> None:
    jsonschema.validate(read(name), get_builtin_schema("vendor.compose-spec"))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Of the containers, with their files, in a folder of ours."""
    folder = tmp_path_factory.mktemp("oda")
    made = prepare(compose.write_config(ROOT / "config.json", "machines", folder))
    compose.configure(made)
    return made


@pytest.fixture(scope="module")
def machines(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The layout of `oda machines up`, with the same certificates, and its files in another folder of ours."""
    document = json.loads((layout.data / "compose.json").read_text())
    section = json.dumps(document["envs"]["machines"]).replace(compose.NETWORK, "127.1.0.")
    config = tmp_path_factory.mktemp("config") / "config.json"
    config.write_text(json.dumps(document | {"envs": {"machines": json.loads(section)}}))
    data = tmp_path_factory.mktemp("machines")
    made = dataclasses.replace(load_layout(config, "machines"), data=data)
    account = layout.settings.kafka.security.model_copy(update={"user": "admin"})
    kafka = made.settings.kafka.model_copy(update={"security": account})
    return dataclasses.replace(made, settings=made.settings.model_copy(update={"kafka": kafka}))


def servers(layout: Layout) -> Iterator[Server]:
    yield from LocalCluster(layout, compose.SOFTWARE).servers


def settings(file: Path) -> dict[str, str]:
    """Each by its name, as it would be on a machine: without its address and folder."""
    text = re.sub(r"\b(127\.1|10\.77)\.0\.", "NETWORK.", file.read_text())
    if file.suffix in (".yaml", ".yml"):
        return dict(_flat("", YAML(typ="safe").load(text)))
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield name, json.dumps(value)
        return
    for key, each in value.items():
        yield from _flat(f"{name}.{key}", each)


def test_each_setting_is_that_of_the_machines(layout: Layout, machines: Layout) -> None:
    compared = 0
    for ours, theirs in zip(servers(layout), servers(machines), strict=True):
        Server.prepare(theirs)
        for name in SETTINGS & {file.name for file in ours.conf.iterdir()}:
            here, there = settings(ours.conf / name), settings(theirs.conf / name)
            there = {key: value.replace(str(machines.data), str(layout.data)) for key, value in there.items()}
            assert here == there, f"{name} of {ours.name}"
            compared += len(here)
    assert compared > 500


def test_what_is_compared_is_secured(layout: Layout) -> None:
    by_name = {server.name: server.conf for server in servers(layout)}
    kafka = settings(by_name["kafka-1"] / "server.properties")
    assert kafka["listener.security.protocol.map"] == "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL"
    assert kafka["min.insync.replicas"] == "2"
    cassandra = settings(by_name["cassandra-2"] / "cassandra.yaml")
    assert cassandra[".client_encryption_options.optional"] == "false"
    assert cassandra[".commitlog_sync"] == '"group"'
    assert settings(by_name["elasticsearch-3"] / "elasticsearch.yml")[".xpack.security.enabled"] == "true"
    assert settings(by_name["zookeeper-1"] / "zoo.cfg")["ssl.clientAuth"] == "need"
    assert settings(by_name["supervisor-1"] / "storm.yaml")[".storm.messaging.netty.tls.enable"] == "true"


def test_each_server_is_a_container_on_its_machine_and_reads_its_files(layout: Layout) -> None:
    for server in servers(layout):
        service = SECURED[server.name]
        assert service["network_mode"] == f"service:{server.machine.name}", server.name
        folder = server.folder.name
        assert f"{FOLDER}/{folder}:/oda/{folder}" in service["volumes"]
        told = json.dumps([service.get("command"), service.get("environment")])
        file = next(file for file in SETTINGS if (server.conf / file).exists())
        # Elasticsearch and Storm are told the folder.
        assert re.search(rf"/oda/{folder}/conf(/{re.escape(file)})?[ \"]", told), server.name


def test_machines_have_the_addresses_that_certificates_and_settings_have(layout: Layout) -> None:
    found = {name: SECURED[name]["networks"]["default"]["ipv4_address"] for name in ("m1", "m2", "m3", "m4")}
    assert found == {machine.name: machine.address for machine in layout.machines}


def test_all_files_and_secrets_that_are_mounted_are_made(layout: Layout) -> None:
    sources = [str(mount).split(":")[0] for service in SECURED.values() for mount in service.get("volumes", [])]
    sources += [secret["file"] for secret in read("docker-compose.secured.yml")["secrets"].values()]
    made_by_its_container = {FOLDER, f"{FOLDER}/audit"}
    for source in set(sources) - made_by_its_container:
        assert (layout.data / source.removeprefix(f"{FOLDER}/")).exists(), source


def test_no_secret_is_in_a_compose_file_or_an_environment(layout: Layout) -> None:
    assert layout.certificates
    text = (ROOT / "docker-compose.secured.yml").read_text()
    for file in [*layout.certificates.glob("*.password"), layout.certificates / "page.token"]:
        assert file.read_text().strip() not in text
        assert file.stat().st_mode & 0o077 == 0
    names = {name for service in SECURED.values() for name in service.get("environment", {})}
    assert not [name for name in names if re.search("pass|secret|token|key", name, re.IGNORECASE)]


def test_a_broker_formats_its_storage_with_the_administrators_account_by_a_file_of_its_own(layout: Layout) -> None:
    files = [server.conf / "format" for server in servers(layout) if isinstance(server, Broker)]
    ids = {found[0] for file in files if (found := re.search('--cluster-id=[^"]+', file.read_text()))}
    assert len(ids) == 1
    assert all("--add-scram" in file.read_text() and file.stat().st_mode & 0o077 == 0 for file in files)


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.secured.yml"])
@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("apache/kafka", "kafka"),
        ("cassandra", "cassandra"),
        ("elasticsearch", "elasticsearch"),
        ("storm", "storm"),
    ],
)
def test_the_versions_are_those_of_the_pom(name: str, image: str, server: str) -> None:
    assert set(re.findall(rf"image: {image}:(.+)", (ROOT / name).read_text())) == {pinned(server)}
    assert set(re.findall(r"apache-storm-([\d.]+)", (ROOT / name).read_text())) <= {pinned("storm")}
