"""What is fetched is what the lock says; versions are said once."""

import re
from pathlib import Path

import pytest

from oda.cluster.artifacts import ArtifactCache, pinned, read_lock
from oda.cluster.layout import CLUSTER
from oda.errors import UserError

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # SHA-256 of b"hello"


def never(_done: int, _total: int) -> None:
    raise AssertionError("nothing is to be fetched")


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    lock = tmp_path / "artifacts.lock"
    lock.write_text(f"# kafka\n{HELLO}  org/a.jar\n{HELLO}  org/b.jar\n")
    (tmp_path / "maven/org").mkdir(parents=True)
    for name in ("a.jar", "b.jar"):
        (tmp_path / "maven/org" / name).write_bytes(b"hello")
    return ArtifactCache(tmp_path, lock)


def test_files_come_in_class_path_order(cache: ArtifactCache) -> None:
    assert [file.name for file in cache.files("kafka")] == ["a.jar", "b.jar"]


def test_what_is_there_and_right_is_not_fetched(cache: ArtifactCache) -> None:
    cache.ensure(never)


def test_another_file_than_the_pinned_one_is_refused(cache: ArtifactCache) -> None:
    cache.files("kafka")[1].write_bytes(b"hell0")
    with pytest.raises(UserError, match=r"b\.jar is not what artifacts\.lock pins"):
        cache.ensure(never)


def test_a_file_that_changed_after_it_was_checked_is_refused(cache: ArtifactCache) -> None:
    cache.ensure(never)
    cache.files("kafka")[0].write_bytes(b"hell0")
    with pytest.raises(UserError, match=r"a\.jar is not what"):
        cache.ensure(never)


def test_no_maven_is_said_in_a_line(cache: ArtifactCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.files("kafka")[0].unlink()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("oda.cluster.artifacts.find_jdk", lambda: Path("/jdk"))
    with pytest.raises(UserError, match="apt-get install maven"):
        cache.ensure(never)


@pytest.mark.parametrize("folder", ["/dev/null/oda", "/proc/oda"])
def test_a_cache_that_can_not_be_written_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setenv("ODA_CACHE", folder)
    with (
        pytest.raises(UserError, match=rf"^the servers are kept in {folder}, .* Set ODA_CACHE .*$"),
        ArtifactCache().locked(),
    ):
        pass


def test_who_has_no_home_is_told_of_oda_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODA_CACHE", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # KeyError: no such user
    with pytest.raises(UserError, match=r"^there is no home folder to keep the servers in\. Set ODA_CACHE .*$"):
        ArtifactCache()


def test_a_cache_that_java_would_misread_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODA_CACHE", "/tmp/a:b")
    with pytest.raises(UserError, match="ODA_CACHE is '/tmp/a:b'"):
        ArtifactCache()


def test_the_lock_pins_every_module() -> None:
    modules = re.findall("<module>(.*)</module>", (CLUSTER / "pom.xml").read_text())
    assert sorted(read_lock()) == sorted(modules)


@pytest.mark.parametrize("server", ["kafka", "cassandra", "elasticsearch", "storm"])
def test_the_lock_has_the_version_of_the_pom(server: str) -> None:
    assert any(f"/{pinned(server)}/" in path for files in read_lock().values() for path in files)


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("apache/kafka", "kafka"),
        ("cassandra", "cassandra"),
        ("elasticsearch", "elasticsearch"),
        ("zookeeper", "zookeeper"),
        ("storm", "storm"),
    ],
)
def test_docker_compose_has_the_same_versions(image: str, server: str) -> None:
    compose = (CLUSTER.parent / "docker-compose.yml").read_text()
    assert set(re.findall(rf"image: {image}:(.+)", compose)) == {pinned(server)}


def test_storm_is_the_same_everywhere() -> None:
    root = CLUSTER.parent
    assert f'[org.apache.storm/storm-core "{pinned("storm")}"]' in (root / "project.clj").read_text()
    assert f"STORM_VERSION: {pinned('storm')}\n" in (root / "docker-compose.yml").read_text()
