"""Alert rules for Prometheus: tried by promtool, and by a real Prometheus that scrapes a real `oda serve`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from ruamel.yaml import YAML

import debian
from oda.cluster.layout import CLUSTER
from oda.paths import BIN, ROOT
from support import ENV, HANG_SECONDS, Cluster, free_port, wait_until

FOLDER = CLUSTER / "prometheus"


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "oda.rules.yml"],
        ["test", "rules", "oda.rules.test.yml"],
    ],
)
def test_the_files_are_right(command: list[str]):
    promtool = debian.unpacked("prometheus") / "usr/bin/promtool"
    done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A real one, with the rules as they are; it looks each second."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, expression: str) -> list[dict]:
        """What is true of an expression now."""
        answer = requests.get(f"{self._url}/api/v1/query", {"query": expression}, timeout=HANG_SECONDS).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def alerts(self) -> dict[str, str]:
        """By name, the state of each alert: pending or firing."""
        found = requests.get(f"{self._url}/api/v1/alerts", timeout=HANG_SECONDS).json()["data"]["alerts"]
        return {one["labels"]["alertname"]: one["state"] for one in found}

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self._url}/-/ready", timeout=HANG_SECONDS).ok
        except requests.ConnectionError:
            return False


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """The example's configuration, but for what it scrapes, and how often."""
    content = YAML(typ="safe").load((FOLDER / "prometheus.yml").read_text())
    content |= {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "alerting": {}}
    content["rule_files"] = [str(FOLDER / name) for name in content["rule_files"]]
    (job,) = content["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(json.dumps(content))
    port = free_port()
    command = [debian.unpacked("prometheus") / "usr/bin/prometheus", f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")
            wait_until(lambda: found.is_ready() or process.poll() is not None, "Prometheus does not start")
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            yield found
        finally:
            process.kill()


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[str]:
    """`oda serve`; gives its address."""
    port = free_port()
    command = [BIN / "oda", "--config", cluster.config, "serve", "--port", str(port)]
    command += ["--topology", cluster.settings.kafka.group]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(HANG_SECONDS)


def test_a_topology_that_is_killed_is_told_and_one_that_runs_again(cluster: Cluster, tmp_path: Path):
    isolated = cluster.isolated(tmp_path)
    walk = ["collect", "walk", "--series", 4, "--rate", 400]
    with serving(isolated, tmp_path) as address, prometheus(tmp_path, address) as server:
        with isolated.topology():
            isolated.oda(*walk, "--count", 2_000)
            isolated.verify()
            wait_until(lambda: server.ask('up{job="oda"} == 1'), "it is not scraped")
            wait_until(lambda: server.ask("oda_topology_active == 1"), "Storm is not seen")
            ends = "sum(oda_partition_end_offset)"
            wait_until(
                lambda: server.ask(f"{ends} >= 2000 and {ends} == sum(oda_partition_committed_offset)"), "not all"
            )
            assert not server.alerts().keys() & {"OdaStopped", "OdaTopologyGone", "OdaServeGone", "OdaWrong"}
        isolated.oda(*walk, "--count", 400)
        wait_until(lambda: server.alerts().get("OdaStopped") == "firing", "it does not say that ODA has stopped")
        wait_until(lambda: "OdaTopologyGone" in server.alerts(), "it does not say that there is no topology")
        with isolated.topology():
            isolated.verify()
            wait_until(lambda: not server.alerts().keys() & {"OdaStopped", "OdaTopologyGone"}, "it does not end")
