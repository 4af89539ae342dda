"""What groups cost a full topic: the same readings with them, without them, and without what could merge them.

The three take turns, each with a topic of its own, since a group's readings go into it, too. With groups there is one
more way for what came of readings: into the log of members, and back as a group's readings. So there are two rates.
One is up to when all readings are committed, which says that their members are in that log. The other is up to when
that log is committed, too, and the groups' readings that it gave.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from oda.bench import throughput
from oda.bench.group_rule import apply_groups, windows_over
from oda.bench.own import own_stream
from oda.bench.workload import Workload, fill
from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.core.groups import derived
from oda.errors import UserError
from oda.kafka.reader import read_to_end, reader
from oda.kafka.records import lean
from oda.settings import Settings


class Way(Enum):
    """What there is of groups."""

    WITHOUT = "no group in the rules"
    GROUPS = "groups"
    ABSENT = "oda.parallelism.groups=0"


class Rates(NamedTuple):
    """Readings a second, up to when they are committed, and up to when all is that came of them by then."""

    readings: float
    all: float


def measure(context: Context, workload: Workload, rounds: int, tell: Callable[[str], None]) -> dict[Way, list[Rates]]:
    """One figure a round and way.

    Raises:
        UserError: groups made fewer readings than they should.
    """
    found: dict[Way, list[Rates]] = {way: [] for way in Way}
    for number in range(1, rounds + 1):
        for way, rates in found.items():
            tell(f"round {number} of {rounds}, {way.value}")
            rates.append(_rates(context, workload, way))
            tell(f"round {number} of {rounds}, {way.value}: {rates[-1].all:,.0f} readings/s")
    return found


def _rates(context: Context, workload: Workload, way: Way) -> Rates:
    executors, has_groups = int(way is not Way.ABSENT), way is Way.GROUPS
    with own_stream(context, parallelism__groups=executors) as (storm, settings):
        if has_groups:
            apply_groups(settings, workload.members)
        over = windows_over(settings, workload, fill(settings, workload))
        with storm.running(settings.kafka.group):
            began = throughput.reading_since(settings, load_layout(context.config, context.env).logs)
            throughput.wait_for_commits(settings)
            readings = time.time()
            if has_groups:
                throughput.wait_for_commits(settings, topic=settings.kafka.members)
                throughput.wait_for_commits(settings)
            end = time.time()
        if has_groups:
            _require(settings, over)
    return Rates(workload.readings / (readings - began), workload.readings / (end - began))


def _require(settings: Settings, expected: set[tuple[str, int]]) -> None:
    found = set()
    with reader(settings.kafka, [settings.kafka.readings], from_beginning=True) as consumer:
        for _, records in read_to_end(lean(consumer)):
            values = [record.value for record in records if record.key == derived.KEY]
            found |= {(one.series, one.time) for one in map(derived.decode, values)}
    if missing := expected - found:
        raise UserError(f"{len(missing)} of {len(expected)} readings of groups are missing, such as {min(missing)}")
