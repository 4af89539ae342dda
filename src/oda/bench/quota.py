"""A part of the cores for some processes, so that what stands for several machines fits on one: control groups."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from oda.errors import UserError

_PERIOD_US = 100_000
"""After which the kernel deals time anew; its default."""

_GROUPS = Path("/sys/fs/cgroup")

Family = Sequence[psutil.Process]
"""The processes of what stands for one machine."""


@contextmanager
def each_limited(cores: float, families: Sequence[Family]) -> Iterator[None]:
    """As `limited`, each family by itself."""
    with ExitStack() as limits:
        for family in families:
            limits.enter_context(limited(cores, [process.pid for process in family]))
        yield


def cpu_seconds(families: Sequence[Family]) -> float:
    """What all of them have used so far."""
    times = [process.cpu_times() for family in families for process in family]
    return sum(time.user + time.system for time in times)


@contextmanager
def limited(cores: float, pids: Collection[int], groups: Path = _GROUPS) -> Iterator[None]:
    """These processes, and what they start meanwhile, have together no more than so many cores.

    Args:
        cores: such as 0.25; what all threads of all these processes may use together.
        pids: who.
        groups: where the kernel's control groups are mounted, of either version.

    Raises:
        UserError: this machine lets us make no control group for CPU time.
    """
    unified = (groups / "cgroup.controllers").exists()
    parent = groups if unified else groups / "cpu"
    group = parent / f"oda-{uuid4().hex[:8]}"
    quota = int(cores * _PERIOD_US)
    try:
        if unified:
            (parent / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
        if unified:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        _move(group, pids)
    except OSError as error:
        raise UserError(f"--quota needs root, and control groups for CPU time in {groups}: {error}") from None
    try:
        yield
    finally:
        _end(group, parent)


def _move(group: Path, pids: Collection[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(pid))


def _end(group: Path, parent: Path) -> None:
    """Those that still run have all cores again."""
    while pids := (group / "cgroup.procs").read_text().split():
        _move(parent, [int(pid) for pid in pids])
        time.sleep(0.01)
    group.rmdir()
