"""`oda serve` as a person starts it, beside the real topology: what it shows, while all lives and after a restart."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import aiohttp
import pytest
import requests
from kafka import TopicPartition

from oda.kafka import client
from oda.paths import BIN
from support import ENV, HANG_SECONDS, HEARS_CTRL_C, Cluster, wait_until

RULES = """
rules:
  - series: "walk-*"
    labels: {site: north}
    detectors: [{use: sigma, incident: {quiet: 2s}}, {use: robust, windows: 5, min_windows: 3}]
"""


class Served:
    """A server, and questions to it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = requests.Session()
        self.http.trust_env = False

    def ask(self, path: str, **params: object) -> requests.Response:
        return self.http.get(f"{self.url}{path}", params=params, timeout=HANG_SECONDS)

    def said(self, path: str, **params: object) -> dict:
        answer = self.ask(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def is_ready(self) -> bool:
        try:
            return self.ask("/ready").status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def served(stream: Cluster) -> Iterator[tuple[Served, subprocess.Popen]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [BIN / "oda", "--config", stream.config, "serve", "--port", str(port)]
    command += ["--topology", stream.settings.kafka.group]
    with subprocess.Popen(command, env=ENV, preexec_fn=HEARS_CTRL_C) as server:
        try:
            found = Served(port)
            wait_until(found.is_ready, "the server did not get ready")
            yield found, server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def walked(stream, tmp_path_factory) -> Cluster:
    """A walk of now has gone through."""
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    stream.oda("rules", "apply", rules)
    stream.oda("collect", "walk", "--series", 3, "--rate", 300, "--count", 6000, "--spikes", 300, "--seed", 5)
    stream.oda("produce", "--topic", stream.settings.kafka.readings, input="<script>alert(1)</script>\n")
    stream.verify()
    return stream


def test_what_went_through_is_shown_and_again_after_kill_minus_9(walked):
    for _ in range(2):
        with served(walked) as (server, process):
            found = server.said("/api/series", sort="name")
            assert [one["name"] for one in found["series"]] == ["walk-0", "walk-1", "walk-2"]
            assert all(one["last_anomaly"] for one in found["series"])
            assert server.said("/api/incidents")["total"] >= 3
            process.kill()
            process.wait()


def test_a_chart_is_what_the_store_has(walked):
    with served(walked) as (server, _):
        (series,) = server.said("/api/series", q="walk-1")["series"]
        until = series["last_time"] + 1
        span = {"name": "walk-1", "since": until - 60_000, "until": until}
        chart = server.said("/api/series/data", **span, pixels=10_000)
        assert len(chart["readings"]["times"]) == 2000
        reduced = server.said("/api/series/data", **span, pixels=50)["reduced"]
        assert sum(reduced["counts"]) == 2000
        assert max(reduced["highs"]) == max(chart["readings"]["values"])
        assert sum(window[2] for window in chart["windows"]) <= 2000
        assert {band["detector"] for band in chart["bands"]} == {"sigma/1", "robust/1"}
        assert [change["version"] for change in chart["rules"]] == [1]
        # Each anomaly has, at its time, a band of its detector that it is outside of: what is shown is what judged it.
        assert chart["anomalies"]
        for row in chart["anomalies"]:
            assert any(
                band["since"] <= row["time"] <= band["until"]
                and (band["low"], band["high"]) == (row["low"], row["high"])
                for band in chart["bands"]
                if band["detector"] == row["detector"]
            ), row
        row = chart["anomalies"][0]
        place = {name: row[name] for name in ("time", "partition", "offset", "detector")}
        why = server.said("/api/why", name="walk-1", **place)
        assert why["differs"] == []
        assert why["anomaly"]["value"] == row["value"]


def test_the_pipeline_insights_and_metrics(walked):
    with served(walked) as (server, _):
        found = wait_until(
            lambda: (said := server.said("/api/pipeline")) and "components" in said["storm"] and said, "no Storm"
        )
        assert {one["lag"] for one in found["partitions"]} == {0}
        assert all(one["snapshot_age_seconds"] is not None for one in found["partitions"] if one["end"])
        assert found["rejected"]["count"] == 1
        assert found["storm"]["state"] == "ACTIVE"
        assert {one["id"] for one in found["storm"]["components"]} >= {"readings", "windows", "anomalies", "cassandra"}
        (message,) = server.said("/api/rejected")["messages"]
        assert message["value"] == "<script>alert(1)</script>"
        metrics = server.ask("/metrics").text
        assert "oda_topology_active 1.0" in metrics
        assert 'oda_partition_lag_readings{partition="0"} 0.0' in metrics
        now = int(time.time() * 1000)
        insights = server.said("/api/insights", since=now - 86_400_000, until=now + 60_000)
        assert {row["series"] for row in insights["ranked"]} == {"walk-0", "walk-1", "walk-2"}
        assert insights["by_label"] == [
            {"label": "site=north", "anomalies": sum(row["anomalies"] for row in insights["ranked"])}
        ]
        request = insights["request"]
        answer = server.http.request(request["method"], request["url"], json=request["body"], timeout=HANG_SECONDS)
        buckets = answer.json()["aggregations"]["series"]["buckets"]
        assert [row["key"] for row in buckets] == insights["heat"]["series"]
        of = {"since": now - 86_400_000, "until": now + 60_000}
        assert server.said("/api/insights", **of, label="site=south")["ranked"] == []


def test_a_verdict_stays_through_a_restart_and_scores_rules(walked, tmp_path):
    with served(walked) as (server, _):
        incident = server.said("/api/incidents", q="walk-0")["incidents"][0]
        said = {"place": incident["place"], "acknowledged": True, "verdict": "true", "comment": "<b>seen</b>"}
        assert (
            server.http.post(f"{server.url}/api/incidents/verdict", json=said, timeout=HANG_SECONDS).status_code == 204
        )
    with served(walked) as (server, _):
        found = server.said("/api/incidents", q="walk-0")["incidents"]
        (shown,) = [one["verdict"] for one in found if one["place"] == incident["place"]]
        assert (shown["verdict"], shown["comment"], shown["acknowledged"]) == ("true", "<b>seen</b>", True)
    settings = walked.settings.kafka
    verdicts, readings = tmp_path / "verdicts.jsonl", tmp_path / "readings.jsonl"
    consume = ("consume", "--from-beginning", "--max-messages")
    verdicts.write_text(walked.oda(*consume, 1, "--topic", settings.verdicts).stdout)
    lines = walked.oda(*consume, 6001, "--topic", settings.readings).stdout.splitlines()
    readings.write_text("".join(f"{line}\n" for line in lines if line.startswith('{"series"')))
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    tried = walked.oda("try", readings, "--rules", rules, "--verdicts", verdicts, "--json")
    (scores,) = json.loads(tried.stdout)["verdicts"]
    assert len(scores["found"]) == 1


def test_a_viewer_sees_readings_bands_and_anomalies_as_they_come(walked):
    async def watch(url: str) -> dict:
        seen: dict[str, int] = {}
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/api/live") as viewer:
            await viewer.send_json({"watch": ["walk-0"]})
            deadline = time.monotonic() + HANG_SECONDS
            while not {"readings", "windows", "bands", "anomalies"} <= seen.keys() and time.monotonic() < deadline:
                said = await viewer.receive_json(timeout=HANG_SECONDS)
                assert said.get("readings", {}).keys() <= {"walk-0"}
                for name in said:
                    seen[name] = seen.get(name, 0) + 1
        return seen

    collect = [BIN / "oda", "--config", walked.config, "collect", "walk", "--rate", "100", "--spikes", "100"]
    with (
        served(walked) as (server, _),
        subprocess.Popen(
            collect, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=HEARS_CTRL_C
        ) as walk,
    ):
        try:
            seen = asyncio.run(watch(server.url))
            wait_until(lambda: server.said("/api/series", q="walk-0")["series"][0]["rate"] > 10, "no rate")
        finally:
            walk.terminate()
    assert seen["readings"] > 1
    assert "gap" not in seen


def test_a_service_of_audits_goes_on_from_its_checkpoint_and_is_shown(walked, tmp_path):
    checkpoint = tmp_path / "audit"
    command = [BIN / "oda", "--config", walked.config, "verify", "--every", "1s", "--checkpoint", checkpoint]

    def audited(lines: int) -> list[str]:
        with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True, preexec_fn=HEARS_CTRL_C) as service:
            found = [next(service.stdout) for _ in range(lines)]
            service.kill()
        return found

    first, second = audited(2)
    assert "0 differences, 0 in all" in first
    assert "not audited" not in second
    walked.oda("collect", "walk", "--series", 2, "--rate", 300, "--count", 600, "--spikes", 100)
    walked.verify()
    (third,) = audited(1)
    assert "0 differences, 0 in all" in third
    new = int(third.split(", ")[1].split()[0])
    assert 600 <= new < 2_000  # what came since, and not all
    with served(walked) as (server, _):
        audit = wait_until(lambda: server.said("/api/pipeline")["audit"], "no audit is shown")
        assert (audit["differences"], audit["problem"]) == (0, "")
        assert sum(audit["offsets"].values()) >= 6_600
        assert "oda_audit_differences 0.0" in server.ask("/metrics").text
    # Retention takes what is audited: who begins now can't, who goes on can.
    kafka = walked.settings.kafka
    with closing(client.admin(kafka)) as admin:
        admin.delete_records({TopicPartition(kafka.readings, int(part)): at for part, at in audit["offsets"].items()})
    assert "is gone (retention deletes old records)" in walked.oda("verify", check=False).stderr
    walked.oda("collect", "walk", "--series", 2, "--rate", 300, "--count", 600, "--spikes", 100)
    with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True, preexec_fn=HEARS_CTRL_C) as service:
        new = 0
        while new < 600:
            line = next(service.stdout)
            assert "0 differences, 0 in all" in line
            new += int(line.split(", ")[1].split()[0])
        service.kill()
