"""`oda notify run` on a real Kafka, with real receivers: what happens to them, and to it, loses nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kafka.structs import OffsetAndMetadata

from notifications import row
from oda.cluster import processes
from oda.cluster.layout import load_layout
from oda.kafka import client
from oda.kafka.reader import partitions
from oda.kafka.topics import create_topics
from oda.paths import BIN, ROOT
from receivers import Alertmanager, Hook, mail_server
from support import ENV, HANG_SECONDS, HEARS_CTRL_C, Cluster, wait_until


class Notifier:
    """`oda notify run`, on topics of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster.isolated(folder)
        self.kafka = self.cluster.settings.kafka
        self.file = folder / "notify.yaml"
        self.log = folder / "notify.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._offsets: dict[object, int] = {}
        create_topics(self.kafka)
        self._producer = client.producer(self.kafka)

    def write(self, receivers: list[dict], routes: list[dict] | None = None, **more: object) -> None:
        """The configuration; without routes each receiver gets everything."""
        routes = routes or [{"to": [one["name"] for one in receivers]}]
        self.file.write_text(json.dumps({"receivers": receivers, "routes": routes, **more}))

    def start(self, new: bool = False) -> None:
        """Returns when each receiver is known; one that is `new` begins with what comes from then on."""
        with self.log.open("ab") as log:
            command = [BIN / "oda", "--config", self.cluster.config, "notify", "run", self.file]
            self._process = subprocess.Popen(command, cwd=ROOT, env=ENV, stderr=log, preexec_fn=HEARS_CTRL_C)
        if new:
            wait_until(lambda: "never started" not in self.status(), self.said)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(HANG_SECONDS)
        self._process = None

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGINT)
            assert self._process.wait(HANG_SECONDS) == 0, self.said()
            self._process = None

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(HANG_SECONDS)
        self._producer.close()

    def said(self) -> str:
        return self.log.read_text()

    def status(self) -> str:
        return self.cluster.oda("notify", "status", self.file, check=False).stdout

    def happen(self, number: int = 0, **changed: object) -> None:
        """A change of an incident of our readings, of which each series has one."""
        content = {**row(number, **changed), "topic": self.kafka.readings}
        content["offset"] = self._offsets.setdefault(content["series"], len(self._offsets))
        key = str(content["series"]).encode()
        self._producer.send(self.kafka.incidents, json.dumps(content).encode(), key=key).get(HANG_SECONDS)


@pytest.fixture
def notifier(cluster: Cluster, tmp_path: Path) -> Iterator[Notifier]:
    with closing(Notifier(cluster, tmp_path)) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as running:
        yield running


def webhook(hook: Hook, name: str = "ops") -> dict:
    return {"name": name, "webhook": {"url": hook.url, "timeout": "5s"}}


def newest(hook: Hook) -> dict[str, int]:
    """By series, the number of the last change that was told."""
    return {one["series"]: one["number"] for one in hook.told}


# -- each receiver ------------------------------------------------------------------------------------


def test_every_receiver_is_told_of_what_is_for_it(notifier: Notifier, hook: Hook, tmp_path: Path):
    with Alertmanager(tmp_path, hook.url) as alertmanager, mail_server("none") as mails, Hook() as water:
        addresses = {"from": "oda@example.com", "to": ["night@example.com"]}
        mail = {"host": "127.0.0.1", "port": mails.port, "security": "none", **addresses}
        notifier.write(
            [
                webhook(water, "water"),
                {"name": "am", "alertmanager": {"url": alertmanager.url}},
                {"name": "mail", "mail": mail},
            ],
            [
                {"labels": {"team": "water"}, "to": ["water"], "continue": True},
                {"severity": "critical", "to": ["mail"], "continue": True},
                {"to": ["am"]},
            ],
            page="https://oda.example",
            time_zone="Europe/Zurich",
        )
        notifier.start(new=True)
        notifier.happen(series="pump", labels='{"team": "water"}')
        notifier.happen(series="fire", severity="critical")
        wait_until(lambda: len(alertmanager.alerts()) == 2, notifier.said)
        wait_until(lambda: mails.mails, notifier.said)
        notifier.happen(1, series="pump", labels='{"team": "water"}', severity="critical")
        wait_until(lambda: newest(water) == {"pump": 1}, notifier.said)
        notifier.happen(2, series="pump", labels='{"team": "water"}', severity="critical")
        notifier.happen(2, series="fire", severity="critical")
        wait_until(lambda: alertmanager.alerts() == [], notifier.said)
        wait_until(lambda: newest(water) == {"pump": 2}, notifier.said)
        assert water.changes == [("pump", "opened"), ("pump", "escalated"), ("pump", "resolved")]
        opened, _, resolved = water.told
        assert resolved["told_before"] == "escalated"
        assert "2024-11-22 19:26:42.123 CET" in opened["text"]
        assert opened["link"].startswith("https://oda.example/#/series?name=pump&since=")
        texts = wait_until(lambda: (found := mails.text()).count("resolved: ") == 2 and found, notifier.said)
        assert texts.index("[critical] opened: fire is") < texts.index("[critical] resolved: fire is")
        assert "resolved: pump" in texts
        assert "[warning]" not in texts
    notifier.stop()


def test_incidents_of_a_topology_are_told_and_that_it_stands_still(notifier: Notifier, hook: Hook, tmp_path: Path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{series: '*', labels: {team: water}, incident: {open: {anomalies: 1}, quiet: 1s}}]\n")
    notifier.write([webhook(hook)], standstill={"after": "10s"})
    notifier.cluster.oda("rules", "apply", rules)
    walk = ["collect", "walk", "--series", 4, "--rate", 400, "--spikes", 50]
    with notifier.cluster.topology():
        notifier.start(new=True)
        notifier.cluster.oda(*walk, "--count", 4_000)
        wait_until(lambda: "resolved" in {what for _, what in hook.changes}, notifier.said)
        notifier.cluster.verify()
        wait_until(lambda: {one["change"] for one in last(hook).values()} == {"resolved"}, notifier.said)
        # On a busy machine it may stand still until it runs.
        wait_until(lambda: {one["change"] for one in standstills(hook)[-1:]} <= {"resolved"}, notifier.said)
    so_far = len(standstills(hook))
    assert {one["labels"].get("team") for one in last(hook).values()} == {"water"}
    notifier.cluster.oda(*walk, "--count", 400)
    begun = wait_until(lambda: standstills(hook)[so_far:], notifier.said)[0]
    assert (begun["change"], begun["severity"]) == ("opened", "critical")
    assert "nothing is committed" in begun["text"]
    notifier.kill()
    with notifier.cluster.topology():
        notifier.cluster.verify()
        notifier.start()
        over = wait_until(lambda: standstills(hook)[so_far + 1 :], notifier.said)[0]
    assert (over["change"], over["incident"], over["since"]) == ("resolved", begun["incident"], begun["since"])
    notifier.stop()


def test_incidents_of_a_group_s_members_are_told_when_they_outlive_its_own(notifier: Notifier, hook: Hook):
    rules = notifier.file.parent / "rules.yaml"
    rules.write_text("rules: []\ngroups: [{name: rack, members: 'pump-*', aggregate: mean, suppresses: true}]\n")
    notifier.cluster.oda("rules", "apply", rules)
    notifier.write([webhook(hook)], suppression={"wait": "10s"})
    notifier.start(new=True)
    for series in ("group:rack", "pump-1", "pump-2", "tank"):
        notifier.happen(series=series)
    wait_until(lambda: re.search(r"│ ops .*│ 2 +│ 0 +│", notifier.status()), notifier.status)
    notifier.kill()
    notifier.happen(2, series="pump-2")
    notifier.start()
    notifier.happen(2, series="group:rack")
    wait_until(lambda: ("pump-1", "opened") in hook.changes, notifier.said)
    told = list(dict.fromkeys(hook.changes))  # kill -9 may have repeated some
    assert set(told[:2]) == {("group:rack", "opened"), ("tank", "opened")}
    assert told[2:] == [("group:rack", "resolved"), ("pump-1", "opened")]
    notifier.stop()


def standstills(hook: Hook) -> list[dict]:
    return [one for one in hook.told if "standstill" in one["id"]]


def last(hook: Hook) -> dict[str, dict]:
    """By incident, what was told last."""
    return {one["incident"]: one for one in hook.told if "standstill" not in one["id"]}


# -- what may happen ----------------------------------------------------------------------------------


def test_kill_9_again_and_again_loses_nothing_and_what_is_repeated_has_the_same_id(notifier: Notifier, hook: Hook):
    notifier.write([webhook(hook)])
    notifier.start(new=True)
    hook.answer = lambda _: time.sleep(0.2) or 200  # type: ignore[func-returns-value]
    for round_ in range(6):
        for number in range(40):
            notifier.happen(series=f"s{round_}-{number}")
            if number % 2:
                notifier.happen(2, series=f"s{round_}-{number}")
        notifier.kill()  # in the middle of a delivery, or not even begun
        notifier.start()
        time.sleep(round_ * 0.4)
    wanted = {f"s{round_}-{number}": 2 * (number % 2) for round_ in range(6) for number in range(40)}
    wait_until(lambda: newest(hook) == wanted, notifier.said)
    by_id: dict[str, dict] = {}
    for one in hook.told:
        before = by_id.setdefault(one["id"], one)
        assert {**one, "told_before": None, "text": ""} == {**before, "told_before": None, "text": ""}
    notifier.stop()
    count = len(hook.told)
    notifier.start()
    notifier.happen(series="after")
    wait_until(lambda: "after" in newest(hook), notifier.said)
    assert len(hook.told) == count + 1, "what was told and committed is not told again"
    notifier.stop()


def test_a_receiver_that_was_away_is_told_once_of_each_incident_and_holds_up_nobody(notifier: Notifier, hook: Hook):
    with Hook() as other:
        notifier.write([webhook(hook, "away"), webhook(other, "there")])
        notifier.start(new=True)
        notifier.happen(series="before")
        wait_until(lambda: newest(hook) == newest(other) == {"before": 0}, notifier.said)
        hook.stop()
        for number in range(250):
            notifier.happen(series=f"s{number}")
            if number < 240:
                notifier.happen(2, series=f"s{number}")
        notifier.happen(2, series="before")
        wait_until(lambda: len(newest(other)) == 251 and newest(other)["before"] == 2, notifier.said)
        status = wait_until(lambda: "tried again later" in (found := notifier.status()) and found, notifier.said)
        assert "Connection refused" in status.replace("\n", " ") or "refused" in status
        notifier.kill()  # a restart does not make it more
        notifier.start()
        hook.start()
        wait_until(lambda: len(newest(hook)) == 251, notifier.said)
        ids = Counter(hook.ids)
        assert newest(hook) == newest(other)
        assert set(ids.values()) == {1}
        assert len(ids) == 252, "the one that it knew, and one for each incident"
        assert len(hook.requests) <= 6, "and not a request for each"
        assert hook.told[1]["text"].startswith("[warning] opened and resolved: s")
        wait_until(lambda: "tried again" not in notifier.status(), notifier.said)
        notifier.stop()


def test_what_a_receiver_refuses_is_kept_and_shown_and_the_rest_goes_on(notifier: Notifier, hook: Hook):
    hook.answer = lambda content: 400 if any(one["series"] == "bad" for one in content["notifications"]) else 200
    with Hook() as other:
        notifier.write([webhook(hook, "picky"), webhook(other, "other")])
        notifier.start(new=True)
        for series in ("first", "bad", "last"):
            notifier.happen(series=series)
        wait_until(lambda: set(newest(hook)) == {"first", "last"}, notifier.said)
        wait_until(lambda: set(newest(other)) == {"first", "bad", "last"}, notifier.said)
        wait_until(lambda: "refuses " in notifier.said(), "it does not say so")
        topic = f"{notifier.kafka.incidents}.refused"
        kept = notifier.cluster.oda("consume", "--topic", topic, "--from-beginning", "--max-messages", 1).stdout
        refusal = json.loads(kept)
        assert (refusal["receiver"], refusal["notification"]["series"]) == ("picky", "bad")
        assert "it answers 400" in refusal["reason"]
        assert topic in notifier.status()
        notifier.happen(2, series="bad")
        notifier.happen(series="more")
        wait_until(lambda: "more" in newest(hook), notifier.said)
        notifier.stop()


def test_open_incidents_are_alertmanagers_again_after_its_restart_and_after_ours(
    notifier: Notifier, hook: Hook, tmp_path: Path
):
    with Alertmanager(tmp_path, hook.url) as alertmanager:
        notifier.happen(series="before it was known")
        notifier.write([{"name": "am", "alertmanager": {"url": alertmanager.url}}])
        notifier.start(new=True)
        wait_until(lambda: len(alertmanager.alerts()) == 1, notifier.said)
        notifier.happen(series="open")
        notifier.happen(series="over")
        notifier.happen(2, series="over")
        wait_until(lambda: len(alertmanager.alerts(series="open")) == 1, notifier.said)
        alertmanager.stop()
        alertmanager.start()
        begun = time.monotonic()
        wait_until(lambda: len(alertmanager.alerts()) == 2, "it is not told again")
        notifier.kill()
        alertmanager.stop()
        alertmanager.start()
        notifier.start()
        wait_until(lambda: len(alertmanager.alerts()) == 2, notifier.said)
        assert time.monotonic() - begun < HANG_SECONDS
        notifier.stop()


def test_a_receiver_that_is_new_begins_with_what_comes(notifier: Notifier, hook: Hook):
    notifier.happen(series="long ago")
    notifier.write([webhook(hook)])
    notifier.start(new=True)
    notifier.happen(2, series="long ago")
    notifier.happen(series="now")
    wait_until(lambda: "now" in newest(hook), notifier.said)
    assert hook.changes[0] == ("long ago", "resolved")
    assert hook.told[0]["told_before"] == "opened", "it is as if it had been told"
    notifier.stop()


def test_a_replay_repeats_messages_and_nobody_is_told_twice(notifier: Notifier, hook: Hook):
    notifier.write([webhook(hook)])
    notifier.start(new=True)
    for _ in range(3):
        for number in (0, 1, 2):
            notifier.happen(number, series="s")
        wait_until(lambda: newest(hook) == {"s": 2}, notifier.said)
    notifier.stop()
    for number in (0, 1, 2):
        notifier.happen(number, series="s")
    notifier.start()
    notifier.happen(series="t")
    wait_until(lambda: "t" in newest(hook), notifier.said)
    assert max(Counter(hook.ids).values()) == 1
    notifier.stop()


def test_that_kafka_is_gone_is_told_and_when_it_is_back_nothing_is_lost(
    notifier: Notifier, hook: Hook, cluster: Cluster
):
    notifier.write([webhook(hook)], standstill={"after": "10s"})
    notifier.start(new=True)
    notifier.happen(series="before")
    wait_until(lambda: "before" in {one.get("series") for one in hook.told}, notifier.said)
    processes.find_servers(load_layout(cluster.config, cluster.env).data)["kafka-1"].kill()
    try:
        begun = wait_until(lambda: standstills(hook), notifier.said)[0]
        assert "Kafka does not answer" in begun["text"]
    finally:
        cluster.oda("up")
    over = wait_until(lambda: [one for one in standstills(hook) if one["change"] == "resolved"], notifier.said)[0]
    assert over["incident"] == begun["incident"]
    notifier.happen(2, series="before")
    wait_until(lambda: [one for one in hook.told if one.get("series") == "before"][-1]["number"] == 2, notifier.said)
    notifier.stop()


# -- a standstill -------------------------------------------------------------------------------------


@contextmanager
def group_of(notifier: Notifier):
    """The topology's consumer group, which commits."""
    consumer = client.consumer(notifier.kafka, group_id=notifier.kafka.group, enable_auto_commit=False)
    with closing(consumer):
        yield consumer


def test_who_was_told_of_a_standstill_is_told_that_it_is_over_whenever_the_notifier_dies(
    notifier: Notifier, hook: Hook
):
    def killed(_: object) -> int:
        notifier.kill()
        return 200

    hook.answer = killed  # before it knows that it was told
    notifier.write([webhook(hook)], standstill={"after": "10s", "severity": "warning"})
    notifier.start(new=True)
    notifier.cluster.oda("collect", "walk", "--series", 4, "--rate", 0, "--count", 100)
    wait_until(lambda: hook.told, notifier.said)
    hook.answer = lambda _: 200
    notifier.start()
    wait_until(lambda: len(hook.told) >= 2, notifier.said)
    assert len({one["id"] for one in hook.told}) == 1
    notifier.kill()
    with group_of(notifier) as consumer:
        ends = consumer.end_offsets(partitions(consumer, notifier.kafka.readings))
        consumer.commit({part: OffsetAndMetadata(end, "", -1) for part, end in ends.items()})
    notifier.start()
    wait_until(lambda: "resolved" in {one["change"] for one in hook.told}, notifier.said)
    ids = [one["id"] for one in hook.told]
    assert len(set(ids)) == 2
    assert ids[0].startswith(f"{notifier.kafka.readings}:standstill:")
    assert "100 readings" in hook.told[0]["text"]
    notifier.stop()
