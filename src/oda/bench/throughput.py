"""How fast a full topic goes through a topology until all that came of it is durable.

The yardstick is kafka-python's bare poll() over the same topic in the same run: no Python consumer
can be faster than that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from oda.bench.workload import Workload, fill
from oda.kafka.group import Group
from oda.kafka.reader import read_to_end, reader
from oda.settings import Settings
from oda.storm.topologies import TOPOLOGY, Storm

_APART_MS = 600_000
"""More than filling the topic takes: the second half must not be older than the first."""

_TAKEN_ON = re.compile(r"^(\S+ \S+) .* name:readings .* partition \d+ from offset", re.MULTILINE)
"""In a worker's log; the other spout, of members, says the same of its partitions."""


class Rate(NamedTuple):
    readings: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.readings / self.seconds


def poll_rate(settings: Settings) -> Rate:
    """Read the whole topic with bare poll()."""
    kafka = settings.kafka
    with reader(kafka, [kafka.readings], from_beginning=True, max_poll_records=settings.readings.max_batch) as consumer:
        began = time.perf_counter()
        seen = sum(len(records) for _, records in read_to_end(consumer))
        return Rate(seen, time.perf_counter() - began)


def topology_rate(settings: Settings, logs: Path) -> Rate:
    """Wait for a topology that was just submitted to commit the whole topic.

    An offset is committed when every store has acknowledged what came of it. The clock starts when the first
    partition is taken on. No commit and no result would do: the spout reads far ahead of both.

    Args:
        settings: the topology's.
        logs: the local cluster's.
    """
    began = reading_since(settings, logs)
    total = wait_for_commits(settings)
    return Rate(total, time.time() - began)


def wait_for_commits(settings: Settings, share: float = 1.0, topic: str | None = None) -> int:
    """Return when this share of what a topic holds now, that of readings if not given, is committed: how much is."""
    with closing(Group(settings.kafka, topic)) as group:
        enough = share * sum(group.ends().values())
        while (committed := sum(group.committed().values())) < enough:
            time.sleep(0.05)
    return committed


@contextmanager
def warmed_up(
    storm: Storm, settings: Settings, workload: Workload, *options: str, topology: str = TOPOLOGY
) -> Iterator[None]:
    """A topology that has worked off a workload, and has the same before it again, as soon as it is activated.

    Young processes import modules and compile, which is most of the CPU time of a short run and nothing in one of days.
    The topic is empty before; options as of `Storm.submit`.
    """
    name = settings.kafka.group
    fill(settings, workload, ago_ms=workload.duration_ms + _APART_MS)
    with storm.running(name, *options, topology=topology):
        wait_for_commits(settings)
        storm.deactivate(name)
        fill(settings, workload)
        yield


def reading_since(settings: Settings, logs: Path) -> float:
    """When the spout of a topology takes on its first partition, seconds since 1970; waits for it."""
    while True:
        for log in logs.glob(f"workers-artifacts/{settings.kafka.group}-*/*/worker.log"):
            if found := _TAKEN_ON.search(log.read_text()):
                return datetime.fromisoformat(found[1]).timestamp()
        time.sleep(0.1)
