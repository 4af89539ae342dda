"""The memory that servers may take is what the tightest limit leaves, the machine's or a container's."""

from pathlib import Path

import psutil
import pytest

from oda.cluster.memory import free_mb

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 GiB are free on the host."""
    memory = psutil.virtual_memory()._replace(available=20 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def belongs(root: Path, *lines: str) -> None:
    write(root / "proc/self", cgroup="\n".join(lines))


def v2(folder: Path, limit: object, current: int, inactive: int = 0) -> None:
    write(folder, memory__max=limit, memory__current=current, memory__stat=f"anon 5\ninactive_file {inactive}")


def v1(folder: Path, limit: int, usage: int, inactive: int = 0) -> None:
    stat = f"inactive_file 1\ntotal_inactive_file {inactive}"
    write(folder, memory__limit_in_bytes=limit, memory__usage_in_bytes=usage, memory__stat=stat)


def test_without_control_groups_the_machines_counts(tmp_path: Path) -> None:
    assert free_mb(tmp_path) == 20 * 1024


def test_a_container_of_version_2_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/")
    v2(tmp_path / "sys/fs/cgroup", 4 * GIB, 3 * GIB, inactive=GIB // 2)
    assert free_mb(tmp_path) == 1536


def test_the_limit_of_a_slice_counts_for_the_services_in_it(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/user.slice/oda.service")
    v2(tmp_path / "sys/fs/cgroup/user.slice", 2 * GIB, GIB)
    v2(tmp_path / "sys/fs/cgroup/user.slice/oda.service", "max", 5)
    assert free_mb(tmp_path) == 1024


def test_a_container_of_version_1_is_told_the_hosts_path(tmp_path: Path) -> None:
    belongs(tmp_path, "12:cpu,cpuacct:/docker/ab12", "4:memory:/docker/ab12", "0::/docker/ab12")
    v1(tmp_path / "sys/fs/cgroup/memory", 3 * GIB, 2 * GIB, inactive=GIB)
    assert free_mb(tmp_path) == 2048


def test_no_limit_of_version_1_is_a_very_large_one(tmp_path: Path) -> None:
    belongs(tmp_path, "4:memory:/a")
    v1(tmp_path / "sys/fs/cgroup/memory/a", 9223372036854771712, GIB)
    assert free_mb(tmp_path) == 20 * 1024


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/")
    v2(tmp_path / "sys/fs/cgroup", GIB, 2 * GIB)
    assert free_mb(tmp_path) == 0


def test_a_machine_with_less_than_the_limit_has_no_more_for_it(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/")
    v2(tmp_path / "sys/fs/cgroup", 100 * GIB, 0)
    assert free_mb(tmp_path) == 20 * 1024
