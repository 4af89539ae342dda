"""What groups cost: CPU for a member's window on its way to the group's reading, and room for those that wait."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import msgspec

from oda.core import log, snapshot
from oda.core.batch import Batch
from oda.core.groups import told
from oda.core.groups.definition import Definition
from oda.core.groups.merging import Merging
from oda.core.groups.telling import Said, Telling
from oda.core.groups.told import Member
from oda.core.text import from_text, to_text
from oda.plan.measured import GroupRun
from oda.settings import Settings

_SIZE_MS = 10_000
"""Of windows, and their group's lateness, which is twice the default of `oda.window.idle_ms`."""

_PARTITIONS = 4
"""Of the readings; the log of members has one."""

_SAID, _TOLD = 3_000, 100
"""Members that close along a batch of readings; records in a batch of the log of members, as its spout has at most."""


def measure(settings: Settings, series: int, groups: int, windows: int) -> GroupRun:
    """So many series, dealt to groups, each with so many windows one after the other."""
    run = _Run(settings)
    for window in range(windows):
        run.take(list(_said(series, groups, window)))
    members = series * windows
    told, read, merged = (1e6 * seconds / members for seconds in (run.told, run.read, run.merged))
    logged = run.logged / members
    return GroupRun(series, groups, told, read, merged, run.longest * 1e3, logged, *_room(settings, series, groups))


def _room(settings: Settings, series: int, groups: int) -> tuple[int, float, float, float]:
    """When the next message would close windows: the last four of `GroupRun`."""
    run = _Run(settings)
    tracemalloc.start()
    try:
        for window in range(2):
            run.take(list(_said(series, groups, window)))
        memory = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    waiting = sum(len(rows) for group in run.machine.series.values() for rows in group.open.values())
    began = time.process_time()
    state = len(snapshot.encode(run.machine))
    saved = time.process_time() - began
    return waiting, memory / waiting, state / waiting, 1e6 * saved / waiting


class _Record(msgspec.Struct):
    offset: int
    value: bytes | None


class _Run:
    """What is said goes into a log of one partition, and from there to the machine; both cross Storm as texts.

    Attributes:
        told, read, merged, longest: CPU seconds, as `GroupRun` has them of each member.
        logged: bytes of all members in the log.
    """

    def __init__(self, settings: Settings) -> None:
        self._group = settings.kafka.group
        self._telling = Telling(self._group, 1)
        self.machine = Merging(settings)
        self.told = self.read = self.merged = self.longest = 0.0
        self.logged = 0

    def take(self, said: list[Said]) -> None:
        """What all partitions say of one window."""
        began = time.process_time()
        values: list[bytes] = []
        for one in said:
            arrived = [from_text(to_text(one), Said)]
            messages = self._telling.members(arrived) + self._telling.progress(arrived, _PARTITIONS)
            values += [value for _, value in messages]
        self.told += time.process_time() - began
        self.logged += sum(map(len, values))
        for first in range(0, len(values), _TOLD):
            self._merge(values[first : first + _TOLD])

    def _merge(self, values: list[bytes]) -> None:
        start = self.machine.position
        records = [_Record(start + number, value) for number, value in enumerate(values)]
        began = time.process_time()
        marks = told.read(records, self._group)
        batch = Batch(0, 0, 0, start, start + len(records), start, 0, log.NOTHING.readings, told=marks)
        crossing = batch.to_tuple()
        read = time.process_time()
        arrived = Batch.from_tuple(crossing)
        self.machine.apply(arrived)
        self.machine.outputs(arrived)
        spent = time.process_time() - read
        self.read += read - began
        self.merged += spent
        self.longest = max(self.longest, spent)


def _said(series: int, groups: int, window: int) -> Iterator[Said]:
    """Of each partition in batches: what closes when it comes to the end of a window."""
    definition = Definition(1, _SIZE_MS, _SIZE_MS, "mean", 1)
    start = window * _SIZE_MS
    for partition in range(_PARTITIONS):
        mine = range(partition, series, _PARTITIONS)
        for first in range(0, len(mine), _SAID):
            some = mine[first : first + _SAID]
            place = window * len(mine) + first
            members = [
                Member(
                    f"group:{number % groups}",
                    f"site/{number % groups}/pump-{number}",
                    start,
                    10,
                    number / 7,
                    1 / 3,
                    place + at,
                    place + at,
                    False,
                    definition,
                )
                for at, number in enumerate(some)
            ]
            yield Said(partition, place, place + len(some), 0, start + _SIZE_MS - 1, members)
