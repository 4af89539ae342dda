"""`oda shadow`, as a person types it, beside a running topology."""

import json
import signal
import subprocess
from contextlib import closing
from operator import itemgetter

import pytest
from kafka import TopicPartition

from oda.cli.context import Context
from oda.core.kinds import ANOMALIES, INCIDENTS, OF_SERIES, WINDOWS
from oda.kafka import client
from oda.kafka.group import Group
from oda.kafka.topics import list_topics
from oda.paths import BIN, ROOT
from oda.settings import load_options
from oda.shadow.stores import settings_of
from oda.stores.catalogue import STORES
from support import ENV, HEARS_CTRL_C, wait_until

NAME = "shadow_test"

SAME = "rules: []\n"
OTHER = "rules: [{series: '*', detectors: [{use: sigma, sigmas: 3, incident: {quiet: 1m}}]}]\n"


@pytest.fixture(scope="module")
def walked(stream):
    """With readings that are judged, some of which are anomalies."""
    stream.oda("collect", "walk", "--series", 8, "--rate", 4_000, "--count", 60_000)
    # Until then the live system itself goes on: it writes a clock record, and reads it.
    wait_until(lambda: len(silent(stream)) == 8, "the clock does not close the last windows")
    stream.verify()
    yield stream
    stream.oda("shadow", "--drop", "--name", NAME)


@pytest.fixture
def shadow(walked, tmp_path):
    """Runs `oda shadow` with the text of rules; any former one's stores are dropped."""

    def run(text: str, *arguments: object, check: bool = True):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        return walked.oda("shadow", path, "--from", 0, "--name", NAME, *arguments, check=check)

    return run


def settings(cluster):
    context = Context(cluster.config, cluster.env)
    return settings_of(NAME, load_options(context.config, context.env))


def rows(of, kind) -> list[dict]:
    """By store, what it holds of a kind, each once."""
    found = []
    for description in STORES:
        with closing(description.open(of)) as store:
            found.append(dict(store.rows(kind)))
    return found


def silent(cluster) -> set[str]:
    """Series whose last window has closed, by the clock."""
    live, *_ = rows(cluster.settings, WINDOWS)
    newest = {row["series"]: row["closed_by"] for row in sorted(live.values(), key=itemgetter("start"))}
    return {series for series, closed_by in newest.items() if closed_by == "clock"}


def positions(cluster) -> tuple:
    """What a shadow must leave alone: how far the group has come, and where the log ends."""
    with closing(Group(cluster.settings.kafka)) as group:
        return group.committed(), group.ends()


def test_the_same_rules_find_the_same_and_nothing_of_the_live_system_changes(walked, shadow):
    before = positions(walked)
    done = json.loads(shadow(SAME, "--drop", "--json").stdout)
    assert done["readings"] == 60_000
    found = done["differences"]["anomalies"]
    assert (found["gained"], found["lost"]) == ([], [])
    assert found["same"]
    live, *_ = rows(walked.settings, ANOMALIES)
    assert {ANOMALIES.place(row): row for row in found["same"]} == live
    assert sum(one["anomalies"]["same"] for one in done["counts"]) == len(live)
    windows, *_ = rows(walked.settings, WINDOWS)
    ours, *others = rows(settings(walked), WINDOWS)
    assert all(other == ours for other in others)
    decided = {place: row for place, row in ours.items() if row["closed_by"] == "data"}
    assert len(decided) > 8
    assert decided == {place: row for place, row in windows.items() if row["closed_by"] == "data"}
    assert positions(walked) == before


def test_other_rules_gain_what_they_find_besides(walked, shadow):
    done = shadow(OTHER, "--drop", "--json", check=False)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    found = document["differences"]["anomalies"]
    assert found["gained"]
    assert not found["lost"], "what is beyond 4 sigma is beyond 3"
    assert document["differences"]["incidents"]["gained"], "the options have no incidents"
    for kind in (ANOMALIES, INCIDENTS):
        ours, *others = rows(settings(walked), kind)
        assert ours
        assert all(other == ours for other in others)
    again = shadow(OTHER, check=False)
    assert again.returncode == 2
    assert f"`oda shadow --drop --name {NAME}`" in again.stderr
    table = shadow(OTHER, "--drop", check=False).stdout
    assert f"{len(found['gained']):,} are gained, 0 are lost" in table
    assert "By series and detector" in table


def test_a_part_of_the_log_is_judged_on_its_own(walked, shadow):
    assert "0 readings" in shadow(SAME, "--drop", "--until", "2020-01-01").stdout
    done = walked.oda("shadow", "--drop", "--name", NAME, check=True)
    assert done.stderr == f"oda: the stores of {NAME} are deleted\n"
    late = shadow(SAME, "--from", 5_000, "--json", check=False)
    document = json.loads(late.stdout)
    assert {part["from"] for part in document["partitions"].values()} <= {5_000, *_ends(walked)}
    assert all(row["offset"] >= 5_000 for rows in document["differences"]["anomalies"].values() for row in rows)


def _ends(cluster) -> set[int]:
    with closing(Group(cluster.settings.kafka)) as group:
        return set(group.ends().values())


def test_one_that_follows_goes_on_until_ctrl_c(walked, tmp_path):
    walked.oda("shadow", "--drop", "--name", NAME)
    (tmp_path / "rules.yaml").write_text(SAME)
    command = [BIN / "oda", "--config", walked.config, "shadow", tmp_path / "rules.yaml", "--from", "0"]
    options = {"cwd": ROOT, "env": ENV, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    arguments = ["--follow", "--json", "--name", NAME]
    with subprocess.Popen([*command, *arguments], preexec_fn=HEARS_CTRL_C, **options) as running:
        try:
            topic = settings(walked).kafka.windows
            wait_until(lambda: topic in list_topics(walked.settings.kafka), "it made no stores")
            wait_until(lambda: _written(walked), "it wrote nothing")
            so_far = _written(walked)
            walked.oda("collect", "walk", "--series", 8, "--rate", 2_000, "--count", 20_000)
            wait_until(lambda: _written(walked) > so_far, "it did not follow")
            walked.verify()
        finally:
            running.send_signal(signal.SIGINT)
        out, err = running.communicate()
    assert running.returncode == 0, err
    document = json.loads(out)
    assert document["readings"] > 60_000
    assert not document["differences"]["anomalies"]["lost"]


def _written(cluster) -> int:
    """Messages of the shadow's windows."""
    kafka = settings(cluster).kafka
    with closing(client.consumer(kafka)) as consumer:
        numbers = consumer.partitions_for_topic(kafka.windows) or ()
        return sum(consumer.end_offsets([TopicPartition(kafka.windows, number) for number in numbers]).values())


def test_what_is_dropped_is_gone_and_the_live_results_are_not(walked):
    walked.oda("shadow", "--drop", "--name", NAME)
    kafka = settings(walked).kafka
    there = list_topics(walked.settings.kafka)
    assert not {getattr(kafka, kind.name) for kind in OF_SERIES} & set(there)
    assert walked.settings.kafka.windows in there
    walked.verify()
