"""`oda demo`, as a newcomer types it: incidents, what to try next, and a page that ends with it."""

import re
import signal
import subprocess

import pytest
import requests

from oda.cli.demo import NEXT
from oda.paths import BIN, ROOT
from oda.storm.topologies import TOPOLOGY
from support import ENV, HANG_SECONDS, HEARS_CTRL_C, wait_until


def test_a_newcomer_sees_an_incident_of_each_series_and_what_to_try_next(cluster, tmp_path):
    own, output = cluster.isolated(tmp_path), tmp_path / "said"
    command = [BIN / "oda", "--config", own.config, "demo"]
    with output.open("w") as said:
        demo = subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=said, stderr=said, preexec_fn=HEARS_CTRL_C)
    try:
        wait_until(lambda: demo.poll() is not None or all(text in output.read_text() for text in NEXT.values()), "")
        found = re.search(r"The page: (http://127\.0\.0\.1:\d+/)#/series\?name=demo%2Fwalk&", output.read_text())
        assert found, output.read_text()
        assert requests.get(found[1], timeout=HANG_SECONDS).text.startswith("<!doctype html>")
        demo.send_signal(signal.SIGINT)
        demo.wait(HANG_SECONDS)
        own.verify()
    finally:
        demo.kill()
        own.storm.kill(TOPOLOGY)
    for series in NEXT:
        assert re.search(rf"{series}  INCIDENT opened", output.read_text()), output.read_text()
    assert "Try next: `oda verify`" in output.read_text()
    with pytest.raises(requests.ConnectionError):
        requests.get(found[1], timeout=HANG_SECONDS)
