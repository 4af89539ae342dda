"""What benchmarks write, and plans are made of: a run of each."""

from __future__ import annotations

import msgspec

from oda.plan.demand import Density


class CostRun(msgspec.Struct):
    """A run of `oda bench cost`: how long it took, CPU seconds and MiB by process, bytes by store."""

    series: int
    readings: int
    windows: float
    seconds: float
    cpu: dict[str, float]
    memory: dict[str, float]
    disk: dict[str, int]

    @property
    def density(self) -> Density:
        """The seconds are those of the run, which may be faster or slower than the readings' own time."""
        return Density(self.windows / self.readings, self.series * self.seconds / self.readings)

    @property
    def state_mb(self) -> float:
        """Memory of the two bolts that have a state of each series, MiB."""
        return self.memory["windows"] + self.memory["anomalies"]


class ScaleRun(msgspec.Struct):
    """A run of `oda bench workers --quota`: workers of so many cores each, what they did and used of them."""

    series: int
    workers: int
    quota: float
    readings: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.readings / self.seconds

    @property
    def used(self) -> float:
        """Of the cores that they were given. Much less than 1: something else was in short supply."""
        return self.cpu / self.seconds / self.workers / self.quota

    @property
    def core_seconds(self) -> float:
        """What a reading took of the cores that they were given."""
        return self.workers * self.quota * self.seconds / self.readings


class NodeRun(msgspec.Struct):
    """A run of `oda bench nodes`: what nodes of so many cores each wrote of a load that takes all of these."""

    store: str
    nodes: int
    copies: int
    quota: float
    rows: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds

    @property
    def used(self) -> float:
        """Of the cores that they were given. Much less than 1: something else was in short supply."""
        return self.cpu / self.seconds / self.nodes / self.quota

    @property
    def core_seconds(self) -> float:
        """What a row took of the cores that they were given."""
        return self.nodes * self.quota * self.seconds / self.rows


class GroupRun(msgspec.Struct):
    """A run of `oda bench groups`: what a member's window takes, and room for those that wait.

    Attributes:
        series, groups: how many; each series is of one group.
        told: CPU for a member's window until it is in the log of members, in µs.
        read: the same from there to the groups bolt, in the spout.
        merged: the same from there to the group's reading.
        longest: CPU of the groups bolt for the batch that takes the longest, one that closes windows, in ms.
        logged: bytes of a member's window in the log of members.
        waiting: how many wait for their groups' windows at once, at most.
        memory: bytes of one that waits, in memory.
        state: the same in a snapshot.
        saved: CPU to bring one that waits into a snapshot, in µs.
    """

    series: int
    groups: int
    told: float
    read: float
    merged: float
    longest: float
    logged: float
    waiting: int
    memory: float
    state: float
    saved: float
