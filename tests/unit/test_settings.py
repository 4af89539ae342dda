"""Settings: every error names the setting."""

import json
from pathlib import Path

import pytest

from oda.settings import Settings, SettingsError, load_settings

NEEDED = {
    "oda.kafka.brokers": "127.0.0.1:9092",
    "oda.cassandra.hosts": "127.0.0.1:9042",
    "oda.elasticsearch.urls": "http://127.0.0.1:9200",
}


SHAPES = [json.dumps({"envs": {"local": local}}) for local in (3, {}, {"options": [["a", 1]]}, {"options": "ab"})]


@pytest.mark.parametrize("env", ["local", "cluster"])
def test_the_repositorys_own_config_is_valid(env):
    assert load_settings(Path(__file__).parents[2] / "config.json", env).window.size_ms == 2000


def test_options_of_storm_are_left_alone():
    assert Settings.from_options({**NEEDED, "topology.workers": 1}).judge.sigmas == 4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("oda.window.size_ms", 0),
        ("oda.window.size_ms", "two"),
        ("oda.window.sise_ms", 2000),
        ("oda.windows", {}),
        ("oda.judge.sigmas", float("nan")),
        ("oda.cassandra.hosts", "a:1,b:2"),
        ("oda.cassandra.hosts", "a"),
        ("oda.cassandra.keyspace", "a; DROP"),
        ("oda.kafka.readings", "a topic"),
        ("oda.elasticsearch.urls", "localhost"),
        ("oda.window", 3),
        ("oda.window.size_ms", True),
        ("oda.window.size_ms", 2**43),
        ("oda.snapshots.interval_ms", 10**400),
        ("oda.kafka.partitions", 2**31),
        ("oda.kafka.brokers", "a"),
        ("oda.kafka.brokers", "a:9092,:9092"),
        ("oda.kafka.rejected", ".."),
        ("oda.cassandra.hosts", "a:²"),
        ("oda.cassandra.hosts", "a:65536"),
        ("oda.cassandra.ttl_days", 10**5),
        ("oda.elasticsearch.urls", "http://a:9200,b:9200"),
        ("oda.elasticsearch.urls", "http://"),
        ("oda.elasticsearch.urls", "http://[::1"),
    ],
)
def test_a_wrong_setting_is_named(option, value):
    with pytest.raises(SettingsError, match=option):
        Settings.from_options({**NEEDED, option: value})


@pytest.mark.parametrize("name", ["readings", "readings.rejected", "oda_anomalies"])
def test_topics_are_different_or_what_is_rejected_would_be_rejected_for_ever(name):
    with pytest.raises(SettingsError, match="different topics"):
        Settings.from_options({**NEEDED, "oda.kafka.windows": name})


def test_an_error_can_be_shown_however_large_and_odd_the_setting():
    with pytest.raises(SettingsError) as error:
        Settings.from_options({**NEEDED, "oda.window.\x1b[2J": 1, "oda.window.size_ms": "\x07" * 10**6})
    assert all(line.isprintable() for line in str(error.value).splitlines())
    assert len(str(error.value)) < 1000


def test_a_missing_setting_is_named():
    with pytest.raises(SettingsError, match=r"oda\.kafka: is missing"):
        Settings.from_options({k: v for k, v in NEEDED.items() if "kafka" not in k})


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]", "{}", '{"envs": {}}', *SHAPES])
def test_a_config_that_is_none_is_told_so(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_settings(path, "local")


def test_a_config_that_is_not_there_is_told_so(tmp_path):
    with pytest.raises(SettingsError, match=r"config\.json"):
        load_settings(tmp_path / "config.json", "local")


@pytest.mark.parametrize("env", ["local", "cluster"])
def test_components_write_to_storm_through_a_buffer(env):
    """Without one, a write that a signal interrupts is cut short, and the worker dies of half a message."""
    config = json.loads((Path(__file__).parents[2] / "config.json").read_text())
    assert config["envs"][env]["options"]["topology.environment"]["PYTHONUNBUFFERED"] == ""
