"""`oda rules`, as a person types it, and what comes of it in the log."""

from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewPartitions

from oda.core import log
from oda.core.batch import RuleMark
from oda.core.rulemark import KEY, encode
from oda.core.rules.match import digest
from oda.kafka.reader import read_to_end, reader
from oda.kafka.records import lean
from oda.kafka.rules import RulesTopic
from oda.settings import Settings
from support import wait_until

ONE = 'rules: [{series: "pump-*", detectors: [{use: sigma, sigmas: 3}]}]\n'
OTHER = "rules: []  # none\n"
WRONG = 'rules:\n  - series: "pump-*"\n    windows: each\n'


@pytest.fixture
def isolated(cluster, tmp_path):
    return cluster.isolated(tmp_path)


@pytest.fixture
def file(tmp_path):
    """Writes a file of rules; returns its path."""

    def write(text: str):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        return path

    return write


def marks(settings: Settings) -> dict[int, list[RuleMark]]:
    """Of each partition, as the spout reads it."""
    found: dict[int, list[RuleMark]] = {}
    with closing(RulesTopic(settings.kafka)) as rules, reader(settings.kafka, [settings.kafka.readings], True) as there:
        for part, records in read_to_end(lean(there)):
            for record in records:  # each on its own: of one that changes nothing no second mark is made
                meaning = log.read([record], settings.kafka.group, 0, rules.read)
                assert not meaning.rejected
                found.setdefault(part.partition, []).extend(meaning.rules)
    return found


def test_rules_that_were_applied_are_in_every_partition_at_one_place(isolated, file):
    assert "no rules were applied" in isolated.oda("rules", "check").stdout
    assert isolated.oda("rules", "show").stdout == "rules: []\n"
    assert "version 1; partition 0 from offset 0, 1 from" in isolated.oda("rules", "apply", file(ONE)).stdout
    found = marks(isolated.settings)
    assert found.keys() == {0, 1, 2, 3}
    (text,) = {mark.text for (mark,) in found.values()}
    assert text.endswith(ONE.replace("use: sigma", 'use: "sigma/1"'))
    assert {(mark.offset, mark.version) for (mark,) in found.values()} == {(0, 1)}
    assert isolated.oda("rules", "show").stdout == text
    assert isolated.oda("rules", "check").stdout == "version 1: 1 rules, nothing is wrong\n"
    shown = isolated.oda("rules", "show", "pump-7", "tank").stdout
    assert "# rule 1 of version 1\nseries: pump-7\n" in shown
    assert "# the topology's options\nseries: tank\n" in shown


def test_what_is_applied_again_changes_nothing_and_what_is_new_gets_a_version(isolated, file):
    isolated.oda("rules", "apply", file(ONE))
    assert "version 1, which was there already" in isolated.oda("rules", "apply", file(ONE)).stdout
    new = isolated.oda("rules", "apply", file(OTHER)).stdout
    version = int(new.split(";")[0].removeprefix("version "))
    assert {tuple(mark.version for mark in found) for found in marks(isolated.settings).values()} == {(1, 1, version)}
    assert isolated.oda("rules", "diff", version, file(OTHER)).stdout == ""
    assert isolated.oda("rules", "diff", 0, version).stdout == ""
    differ = isolated.oda("rules", "diff", 1, version, check=False)
    assert differ.returncode == 1
    assert "-- series: pump-*" in differ.stdout.replace("-  - ", "-- ")
    former = isolated.oda("rules", "show", "--version", 1).stdout
    assert f"version {version + 2}; " in isolated.oda("rules", "apply", file(former)).stdout
    rows = isolated.oda("rules", "history").stdout.splitlines()
    assert [row.split()[1] for row in rows if "4 of 4" in row] == ["1", str(version), str(version + 2)]
    with closing(RulesTopic(isolated.settings.kafka)) as rules:
        assert rules.newest().version == version + 2
        assert rules.read(1).endswith(rules.read(version + 2).split("\n", 1)[1])
        for none in (0, 2, version + 3):
            with pytest.raises(LookupError):
                rules.read(none)


def test_wrong_rules_change_nothing_and_say_where(isolated, file):
    isolated.oda("rules", "apply", file(ONE))
    failed = isolated.oda("rules", "apply", path := file(WRONG), check=False)
    assert failed.returncode == 1
    assert failed.stdout == f"{path}:3:5: rules[0].windows: there is no such field\n"
    assert "version 1:" in isolated.oda("rules", "check").stdout
    assert {len(found) for found in marks(isolated.settings).values()} == {1}


def test_a_partition_that_is_new_is_behind_until_rules_are_applied_again(isolated, file):
    isolated.oda("rules", "apply", file(ONE))
    kafka = isolated.settings.kafka
    with closing(KafkaAdminClient(bootstrap_servers=kafka.brokers)) as admin:
        admin.create_partitions({kafka.readings: NewPartitions(total_count=5)})
        admin.wait_for_topics([kafka.readings])
    behind = isolated.oda("rules", "check", check=False)
    assert behind.returncode == 1
    assert "behind: partitions 4 of topic" in behind.stdout
    assert "behind: partitions 4 of topic" in isolated.oda("rules", "history").stdout
    isolated.oda("rules", "apply", file(ONE))
    assert "nothing is wrong" in isolated.oda("rules", "check").stdout
    assert {number: [mark.version for mark in found] for number, found in marks(isolated.settings).items()} == {
        number: [1, 1] if number < 4 else [1] for number in range(5)
    }


def test_a_partition_that_is_new_to_the_topology_follows_the_newest_rules_by_itself(stream, file):
    stream.oda("rules", "apply", file(ONE))
    kafka = stream.settings.kafka
    with closing(KafkaAdminClient(bootstrap_servers=kafka.brokers)) as admin:
        admin.create_partitions({kafka.readings: NewPartitions(total_count=5)})
    wait_until(lambda: marks(stream.settings).get(4), "partition 4 follows no rules")
    assert {mark.version for mark in marks(stream.settings)[4]} == {1}
    wait_until(lambda: stream.oda("rules", "check", check=False).returncode == 0, "that is not reported")
    stream.oda("collect", "walk", "--series", 20, "--rate", 400, "--count", 2000)
    stream.verify()


def test_rules_belong_to_a_group(cluster, isolated, tmp_path, file):
    isolated.oda("rules", "apply", file(ONE))
    kafka = isolated.settings.kafka
    other = cluster.isolated(tmp_path, kafka__readings=kafka.readings, kafka__rules=kafka.rules)
    assert "no rules were applied" in other.oda("rules", "check").stdout
    assert not any(marks(other.settings).values())
    other.oda("rules", "apply", file(OTHER))
    assert [mark.version for mark in marks(other.settings)[0]] == [3]
    assert "version 1:" in isolated.oda("rules", "check").stdout


def test_of_forged_rule_records_nothing_comes_but_their_rejection(stream, file):
    stream.oda("collect", "walk", "--series", 8, "--rate", 400, "--count", 400)
    stream.oda("rules", "apply", file(ONE))
    kafka = stream.settings.kafka
    with closing(RulesTopic(kafka)) as rules:
        text = rules.read(1)
    forged = [encode(kafka.group, 99, digest(text)), encode(kafka.group, 1, digest("")), b"{}"]
    with closing(KafkaProducer(bootstrap_servers=kafka.brokers)) as producer:
        for value in forged:
            producer.send(kafka.readings, value, key=KEY, partition=0)
    stream.oda("collect", "walk", "--series", 8, "--rate", 400, "--count", 400)
    stream.verify()
    with reader(kafka, [kafka.rejected], from_beginning=True) as there:
        found = [record for _, records in read_to_end(there) for record in records]
    assert [record.value for record in found] == forged
    reasons = [dict(record.headers)["oda.reason"].decode() for record in found]
    assert [reason.partition(" ")[0] for reason in reasons] == ["there", "there", "not"], reasons
