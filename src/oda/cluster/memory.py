"""How much memory servers may still take: what the machine has free, or the container or service that we are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def free_mb(root: Path = Path("/")) -> int:
    """MiB that can be taken before something is ended for it; `root` is the folder of `proc` and `sys`."""
    free = [psutil.virtual_memory().available]
    for group in _groups(root):
        with suppress(OSError, ValueError, KeyError):  # no limit ("max"), or not a group of memory
            free.append(_free(group))
    return max(0, min(free)) >> 20


def _groups(root: Path) -> Iterator[Path]:
    """The control groups of this process with all that they are part of: the limit of each counts."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                mount = root / "sys/fs/cgroup"
            elif "memory" in controllers.split(","):
                mount = root / "sys/fs/cgroup/memory"
            else:
                continue
            # In a container the path may be the host's, and the container's own group is what is mounted.
            group = mount / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mount))


def _free(group: Path) -> int:
    """Bytes below the limit. Cached files that nobody used lately are counted as taken, but given up first."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    if (limit := group / "memory.max").exists():
        return _number(limit) - _number(group / "memory.current") + int(stat["inactive_file"])
    used = _number(group / "memory.usage_in_bytes")
    return _number(group / "memory.limit_in_bytes") - used + int(stat["total_inactive_file"])


def _number(file: Path) -> int:
    return int(file.read_text())
