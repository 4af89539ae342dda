"""The page of the real `oda serve` on the real cluster, in a real Chromium: what is judged is what people see."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from kafka import KafkaProducer
from playwright.sync_api import Page, expect

from made_server import HOSTILE
from oda.paths import BIN, ROOT
from support import ENV, Cluster, wait_until
from window import Window, chromium, windows

RULES = """
rules:
  - series: "*"
    detectors: [{use: sigma, incident: {quiet: 10m}}]
    severity: critical
    labels: {site: north, team: "</script><script>window.ran=1</script>"}
"""
NAME = HOSTILE[0]
STEP = 100  # ms


@contextmanager
def served(cluster: Cluster) -> Iterator[str]:
    """The address of an `oda serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [BIN / "oda", "--config", cluster.config, "serve", "--port", str(port), "--topology"]
    process = subprocess.Popen([*command, cluster.settings.kafka.group], cwd=ROOT, env=ENV)
    address = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, "oda serve ended"
        try:
            return requests.get(f"{address}/ready", timeout=10).ok
        except requests.ConnectionError:
            return False

    try:
        wait_until(is_ready, "oda serve is not ready")
        yield address
    finally:
        process.terminate()
        process.wait(60)


def send(cluster: Cluster, values: dict[str, dict[int, float]], *garbage: bytes) -> None:
    """Readings by series and time."""
    kafka = cluster.settings.kafka
    with closing(KafkaProducer(bootstrap_servers=kafka.brokers)) as producer:
        for name, readings in values.items():
            for at, value in readings.items():
                message = json.dumps({"series": name, "time": at, "value": value}).encode()
                producer.send(kafka.readings, message, key=name.encode())
        for message in garbage:
            producer.send(kafka.readings, message, key=message)
        producer.flush()


@pytest.fixture(scope="module")
def start() -> int:
    """When the readings begin, epoch ms."""
    return int(time.time() * 1000) - 120_000


@pytest.fixture(scope="module")
def address(stream: Cluster, start: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server that has a hundred hostile series, each with an anomaly, and rejected messages as hostile."""
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    stream.oda("rules", "apply", rules)
    names = [name for name in HOSTILE if not any(ord(one) < 32 for one in name)]
    few = {name: readings(start, 50) for name in names}
    send(stream, few | {NAME: readings(start, 600)}, *(name.encode() for name in HOSTILE))
    stream.verify()
    with served(stream) as found:
        yield found


def readings(start: int, count: int) -> dict[int, float]:
    """So many, with one that should not be so near the end."""
    return {start + at * STEP: 20.0 + at % 7 + (100 if at == count - 5 else 0) for at in range(count)}


@pytest.fixture(scope="module")
def window(address: str) -> Iterator[Window]:
    with chromium() as browser, windows(browser, address) as opened:
        yield opened


def opened(window: Window, view: str, start: int) -> Page:
    page = window("/#/pipeline")
    parameters = {"name": NAME, "since": start, "until": start + 60_000}
    go = "async ([view, what]) => (await import('/page/route.js')).go(view, what)"
    page.evaluate(go, [view, parameters if view == "series" else {}])
    return page


def test_a_series_of_the_cluster_is_shown_with_its_band_and_anomaly(window: Window, start: int):
    page = opened(window, "series", start)
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile(r"600 readings from 20 to \d+"))
    expect(page.locator(".legend")).to_contain_text("no anomaly for sigma/1")
    expect(page.get_by_role("heading", name=re.compile("Anomalies in view: [1-9]"))).to_be_visible()
    newest = page.locator(".anomalies tbody").first
    expect(newest).to_contain_text("120")
    newest.get_by_role("button", name=re.compile("^Why")).click()
    expect(newest.locator("pre")).to_contain_text("equal to the last bit")
    assert Axe().run(page).violations_count == 0


def test_what_is_judged_now_is_pushed(window: Window, stream: Cluster, start: int):
    page = opened(window, "series", start)
    page.get_by_role("button", name="○ Live").click()
    expect(page.get_by_role("button", name="● Live")).to_be_visible()
    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile("readings from"))
    now = int(time.time() * 1000)
    send(stream, {NAME: {now: 4711.25}})
    expect(page.locator(".panel .facts strong")).to_have_text("4711.25")
    expect(page.locator(".anomalies")).to_contain_text("4711.25")


def test_all_hostile_series_are_shown(window: Window, start: int):
    page = opened(window, "all", start)
    page.get_by_label("Search series").fill("ran")
    expect(page.get_by_text(re.compile(r"\d+ found"))).to_be_visible()
    page.get_by_role("grid").evaluate("(grid) => { grid.style.height = '4000px'; }")
    expect(page.locator(".v-body .v-row")).to_have_count(sum("ran" in name for name in HOSTILE))
    expect(page.locator(".v-body .v-name", has_text=NAME).first).to_be_visible()


def test_an_incident_is_acknowledged_in_the_log(window: Window, stream: Cluster, start: int):
    page = opened(window, "incidents", start)
    page.get_by_label("Search incidents").fill(NAME)
    expect(page.locator(".card", has_not_text=NAME)).to_have_count(0)
    card = page.locator(".card").first
    expect(card).to_contain_text("critical")
    expect(card).to_contain_text("team=</script><script>window.ran=1</script>")
    card.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".card", has_text="✓ acknowledged")).to_have_count(1)
    page.reload()
    expect(page.locator(".card", has_text="✓ acknowledged")).to_have_count(1)
    done = stream.oda("consume", "--topic", stream.settings.kafka.verdicts, "--from-beginning", "--max-messages", 1)
    assert '"acknowledged":true' in done.stdout.replace(" ", "")


def test_the_pipeline_and_what_it_refused(window: Window, start: int):
    page = opened(window, "pipeline", start)
    expect(page.get_by_role("group", name="Partitions").get_by_role("row")).to_have_count(1 + 4)
    expect(page.locator(".tile", has_text="Rejected")).to_contain_text(str(len(HOSTILE)))
    page.get_by_text("Look at the rejected messages").click()
    page.get_by_role("button", name=re.compile("^Show more")).click()
    expect(page.get_by_text(HOSTILE[1]).first).to_be_visible()
    expect(page.locator(".tile", has_text="Storm")).to_contain_text("ACTIVE")


def test_insights_of_the_cluster(window: Window, start: int):
    page = opened(window, "insights", start)
    expect(page.locator(".heat-box")).to_have_attribute("aria-label", re.compile("Anomalies of 50 series"))
    expect(page.get_by_role("button", name="site=north")).to_be_visible()
