"""Simulated stores: they take what the real ones do, and notice at once what must never be written.

They go away, are slow, or lose the answer to what they have done; a write that fails may have been done in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any

from oda.errors import Refused
from oda.stores.contract import Item, Rows
from oda.stores.snapshots import FencedError
from sim.events import Events
from sim.topic import AwayError

Place = tuple[Any, ...]


class BrokenPromiseError(AssertionError):
    """Something happened that must never happen."""


class Kept:
    """What a store holds, by place in the log; it outlives its clients.

    Attributes:
        away_until: it answers nobody before that.
        mended_at: before that it takes no row, and from who had opened it before that, either.
    """

    def __init__(self, events: Events, name: str) -> None:
        self.events, self.name = events, name
        self.rows: dict[Place, Any] = {}
        self.away_until = self.mended_at = 0.0

    def put(self, place: Place, row: Any) -> None:
        if self.rows.setdefault(place, row) != row:
            raise BrokenPromiseError(f"{self.name}: {place} was {self.rows[place]}, and is to be {row}")

    def require(self) -> None:
        if self.events.now < self.away_until:
            raise AwayError(f"{self.name} is away")


class Client:
    """A sink's connection to a store."""

    notes = ()

    def __init__(self, store: Kept) -> None:
        store.require()
        self._store, self._opened = store, store.events.now

    def write(self, items: Sequence[Item]) -> None:
        self._store.require()
        if self._opened < self._store.mended_at and items:
            raise Refused(f"{self._store.name} has no such column")
        random = self._store.events.random
        fails = self._store.events.chance(0.05)
        for place, row in chain.from_iterable(map(_placed, items)):
            if not fails or random.random() < 0.5:
                self._store.put(place, row)
        if fails:
            raise AwayError(f"{self._store.name} has done a part")

    def close(self) -> None:
        """There is nothing to let go of."""


def _placed(item: Item) -> Iterator[tuple[Place, Any]]:
    """Rows, and each reading of a batch, by place in the log."""
    if isinstance(item, Rows):
        name, identity = item.kind.name, item.kind.identity
        yield from (((name, item.partition, *(getattr(row, field) for field in identity)), row) for row in item.rows)
        return
    columns = (column.tolist() for column in item.readings[1:])
    for series, offset, time, value in zip(*columns, strict=True):
        yield ("readings", item.partition, offset), (item.readings.names[series], time, value)


class Heads:
    """The newest snapshot of each partition of each machine; it outlives its clients."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.heads: dict[tuple[str, int], tuple[int, int, list[bytes]]] = {}  # position, owner, parts
        self.away_until = 0.0
        self.owners = count(1)

    def position(self, partition: int, machines: Sequence[str]) -> int:
        """What the snapshots of a partition of these machines all reach."""
        return min(self.heads.get((machine, partition), (0, 0, []))[0] for machine in machines)


class Snapshots:
    """What a bolt asks instead of `oda.stores.snapshots.SnapshotStore`."""

    def __init__(self, heads: Heads, machine: str) -> None:
        self._heads, self._machine = heads, machine
        self._require()
        self._owner = next(heads.owners)
        self._seen: dict[int, tuple[int, int]] = {}

    def load(self, partition: int) -> list[bytes]:
        self._require()
        position, _, parts = self._heads.heads.get((self._machine, partition), (-1, 0, []))
        self._put(partition, position, parts)
        return parts

    def save(self, partition: int, position: int, data: bytes, is_whole: bool) -> None:
        self._require()
        *now, parts = self._heads.heads[self._machine, partition]
        if now == [position, self._owner]:  # a repetition
            self._seen[partition] = position, self._owner
            return
        if tuple(now) != self._seen[partition]:
            raise FencedError(
                f"{self._machine} of partition {partition} was taken over: {now}, not {self._seen[partition]}"
            )
        if position < now[0]:
            raise BrokenPromiseError(
                f"{self._machine} of partition {partition}: a snapshot goes back from {now[0]} to {position}"
            )
        self._put(partition, position, [data] if is_whole else [*parts, data])

    def _put(self, partition: int, position: int, parts: list[bytes]) -> None:
        self._heads.heads[self._machine, partition] = position, self._owner, parts
        if self._heads.events.chance(0.05):
            raise AwayError("Cassandra's answer got lost")
        self._seen[partition] = position, self._owner

    def _require(self) -> None:
        if self._heads.events.now < self._heads.away_until:
            raise AwayError("Cassandra is away")
