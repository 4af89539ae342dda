"""Processes in a control group of the kernel's, with a part of the cores; as root, as `oda bench workers --quota`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oda.bench.quota import limited
from oda.errors import UserError


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[str]]:
    """It prints the pid of a child of its own for each line that it reads."""
    script = "while read _; do sleep 600 > /dev/null & echo $!; done"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.communicate()


def child_of(shell: subprocess.Popen[str]) -> int:
    assert shell.stdin
    assert shell.stdout
    shell.stdin.write("\n")
    shell.stdin.flush()
    return int(shell.stdout.readline())


def is_limited(pid: int) -> bool:
    return "/oda-" in Path(f"/proc/{pid}/cgroup").read_text()


def test_a_process_and_what_it_starts_meanwhile_are_limited(shell: subprocess.Popen[str]) -> None:
    before = child_of(shell)
    with limited(0.25, [shell.pid]):
        meanwhile = child_of(shell)
        assert [is_limited(pid) for pid in (before, shell.pid, meanwhile)] == [False, True, True]
        (group,) = [line for line in Path(f"/proc/{shell.pid}/cgroup").read_text().splitlines() if "/oda-" in line]
        name = group.rpartition("/")[2]
        (folder,) = [path for path in Path("/sys/fs/cgroup").glob(f"**/{name}") if path.is_dir()]
        quotas = [folder / file for file in ("cpu.max", "cpu.cfs_quota_us") if (folder / file).exists()]
        assert quotas[0].read_text().split()[0] == "25000"
    assert not any(map(is_limited, (before, shell.pid, meanwhile)))
    assert not folder.exists()


def test_who_is_gone_already_is_passed_over(shell: subprocess.Popen[str]) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with limited(0.25, [gone.pid, shell.pid]):
        assert is_limited(shell.pid)


def test_a_machine_without_control_groups_is_said_in_a_line(tmp_path: Path) -> None:
    problem = rf"^--quota needs root, and control groups for CPU time in {tmp_path}: "
    with pytest.raises(UserError, match=problem), limited(0.25, [], tmp_path):
        pass
