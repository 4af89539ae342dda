"""The audit from end to end: read the log, compute what follows, read the stores, compare."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from oda.audit.compare import Archived, compare, compare_readings
from oda.audit.comparison import Comparison
from oda.audit.expected import Accepted, Expected
from oda.audit.reference import Reference
from oda.audit.second import groups_compared
from oda.audit.sources import Log, Positions, is_elsewhere
from oda.core.kinds import KINDS, REJECTED, Document, Kind
from oda.errors import UserError
from oda.kafka.problems import made_anew
from oda.settings import Settings
from oda.stores.archive import Packed, unpack
from oda.stores.cassandra import CassandraStore
from oda.stores.catalogue import STORES
from oda.stores.contract import Archive, Part, Store

T = TypeVar("T")

_POLL_SECONDS = 0.5


class Track(Protocol):
    """Shows progress."""

    def __call__(self, items: Iterable[T], what: str, total: int | None) -> Iterable[T]:
        """Pass items on; `what` says what they are, `total` how many there will be, if that is known."""


class Report(NamedTuple):
    """What an audit found.

    Attributes:
        starts: from where in the log it went, by partition; the beginning where there is none.
        positions: up to where.
        accepted, rejected: how many messages of it are readings, or none.
        scattered: series that are in several partitions.
        comparisons: of each store.
    """

    starts: Mapping[int, int]
    positions: Positions
    accepted: int
    rejected: int
    scattered: list[str]
    comparisons: list[Comparison]

    @property
    def faults(self) -> int:
        """How many rows are wrong."""
        return sum(comparison.faults for comparison in self.comparisons)


def wait_until_drained(settings: Settings, seconds: float, show: Callable[[int, Mapping[int, int]], None]) -> int:
    """Wait until the topology has committed all that is in the log now, but no longer than `seconds`.

    Args:
        settings: where to look.
        seconds: the longest wait.
        show: is told from time to time how many offsets are not committed, and `Positions.held`.

    Returns:
        How many offsets were not committed in the end.

    Raises:
        UserError: Kafka or Cassandra can't be reached, or the topic doesn't exist, or was made anew.
    """
    with closing(Log(settings.kafka)) as log:
        with closing(CassandraStore(settings)) as online:
            _require_same_log(settings, log, online)
        deadline = monotonic() + seconds
        readings, topic = log.positions().ends, settings.kafka.members
        members = log.positions(topic).ends if settings.parallelism.groups else {}  # else nobody reads them
        while True:
            positions = log.positions()
            behind = positions.behind(readings)
            if any(members.values()):
                behind += log.positions(topic).behind(members)
            if not behind or monotonic() >= deadline:
                return behind
            show(behind, positions.held)
            sleep(_POLL_SECONDS)


@dataclass
class Known:
    """What is known where an audit ended, so that the next one goes on there.

    Attributes:
        positions: up to where the log was read, by partition.
        references: by partition.
    """

    positions: dict[int, int] = field(default_factory=dict)
    references: dict[int, Reference] = field(default_factory=dict)


def audit(settings: Settings, track: Track, known: Known | None = None) -> Report:
    """Compare all stores with what the committed part of the log gives: from its beginning, or where another ended.

    Args:
        settings: of the topology.
        track: shows progress.
        known: where another one ended; brought forward. Of the stores only what came of the log since is looked at.

    Raises:
        UserError: a store can't be reached, or the log's beginning is gone, or it is not the one that was read.
    """
    starts = {} if known is None else dict(known.positions)
    with closing(Log(settings.kafka)) as log, ExitStack() as stack:
        if starts and starts == (positions := log.positions()).committed:
            return Report(starts, positions, 0, 0, [], [])
        stores = {store: stack.enter_context(closing(store.open(settings))) for store in STORES}
        with closing(CassandraStore(settings)) as online:
            _require_same_log(settings, log, online)
        positions = log.positions()
        expected = Expected(settings, log.rules(), None if known is None else known.references)
        came = _read_log(settings, log, starts, positions.committed, expected, track)
        since = Since(starts, expected.part(came)) if starts else Since()
        auditor = Auditor(expected, positions.committed, track, since)
        comparisons = [
            auditor.compared(stream, description.title, store)
            for stream in ("readings", *KINDS)
            for description, store in stores.items()
            if stream in description.streams
        ]
        if not starts:
            comparisons += groups_compared(settings, log, expected, positions.committed)
    if known is not None:
        known.positions |= positions.committed
    accepted = sum(len(readings.offsets) for readings in expected.readings.values())
    return Report(starts, positions, accepted, len(expected.rejected), expected.scattered(), comparisons)


def _require_same_log(settings: Settings, log: Log, online: CassandraStore) -> None:
    """Raises UserError when the topic is not the one that the stored results are of."""
    was, now = online.log_id(), log.id()
    if was is not None and now is not None and was != now:
        raise UserError(made_anew(settings.kafka.readings, was, now))


def _read_log(
    settings: Settings,
    log: Log,
    starts: Mapping[int, int],
    committed: Mapping[int, int],
    expected: Expected,
    track: Track,
) -> int:
    """Returns when the first of the records came, epoch ms; 0 if that can't be known."""
    came: list[int] = []

    def first(records: Iterable[Any]) -> Iterator[Any]:
        for number, record in enumerate(records):
            if not number:
                came.append(record.timestamp if record.timestamp_type == 1 else 0)
            yield record

    for partition, end in committed.items():
        start = starts.get(partition, 0)
        records = log.records(partition, start, end)
        what = f"Kafka {settings.kafka.readings}, partition {partition}"
        expected.read(partition, track(first(records), what, end - start))
    return min(came, default=0)


class Since(NamedTuple):
    """Where an audit goes on: in the log by partition, at the beginning where there is none; and in the stores."""

    starts: Mapping[int, int] = MappingProxyType({})
    part: Part | None = None


class Auditor:
    """Compares one store after the other, by what comes of a part of the log; what comes of others is left out.

    Args:
        expected: what comes of it.
        ends: of that part, by partition.
        track: shows progress.
        since: its beginning.
    """

    def __init__(self, expected: Expected, ends: Mapping[int, int], track: Track, since: Since = Since()) -> None:  # noqa: B008 - it does not change
        self._expected = expected
        self._ends = ends
        self._track = track
        self._starts, self._part = since

    def compared(self, stream: str, title: str, store: Store) -> Comparison:
        """What a store holds of one of the streams that it takes."""
        if stream == "readings":
            return self.archive(title, cast(Archive, store).readings(self._part))
        kind = KINDS[stream]
        found = store.rows(kind, self._part)
        return self.rejected(title, found) if kind is REJECTED else self.results(kind, title, found)

    def archive(self, store: str, rows: Iterable[Packed]) -> Comparison:
        """Packed readings, every one of every row."""
        result = Comparison(store, "readings")
        names = self._expected.names
        partitions: dict[int, list[Archived]] = {partition: [] for partition in self._ends}
        for row in self._track(rows, f"{store} readings", None):
            if row.last_offset < self._starts.get(row.partition, 0):
                continue
            place = f"{row.partition}:{row.first_offset}"
            if row.is_misplaced:
                result.add("extra", 1, [f"{place}: the row of series {row.series} is not in its bucket"])
                continue
            try:
                offsets, times, values = unpack(row.first_offset, row.data)
                if offsets[-1] != row.last_offset:
                    raise ValueError(f"its last offset is {offsets[-1]}, not {row.last_offset}")
            except ValueError as error:
                result.add("different", 1, [f"{place}: the row of series {row.series} is damaged: {error}"])
                continue
            series = np.full(len(offsets), names.number(row.series))
            slots = np.full(len(offsets), row.slot)
            partitions.setdefault(row.partition, []).append(Archived(offsets, series, times, values, slots))
        for partition, parts in partitions.items():
            found = Archived.join(parts)
            if partition in self._ends:
                found = found.within(self._starts.get(partition, 0), self._ends[partition])
            compare_readings(result, partition, self._expected.readings.get(partition, Accepted()), found, names)
        return result

    def results(self, kind: Kind[Any], store: str, found: Iterable[tuple[Hashable, Document]]) -> Comparison:
        """The rows of one kind of one store."""
        result = Comparison(store, kind.name)
        expected: dict[Hashable, Document] = {kind.place(row): row for row in getattr(self._expected, kind.name)}
        audited = (
            (identity, row)
            for identity, row in self._track(found, f"{store} {kind.name}", None)
            if not is_elsewhere(row, kind, self._ends, self._starts)
        )
        compare(result, expected, audited, kind.later)
        return result

    def rejected(self, store: str, found: Iterable[tuple[Any, Document]]) -> Comparison:
        """Rejected messages by (partition, offset): each with its key and value, or their beginnings, and a reason."""
        result = Comparison(store, "rejected")
        audited = (
            ((partition, offset), _whole(row, self._expected.rejected.get((partition, offset))))
            for (partition, offset), row in self._track(found, f"{store} rejected", None)
            if partition not in self._ends or self._starts.get(partition, 0) <= offset < self._ends[partition]
        )
        compare(result, self._expected.rejected, audited)
        return result


def _whole(row: Document, original: Document | None) -> Document:
    """What is right in a copy that says it is cut, namely a beginning, is completed."""
    copy = {name: part for name, part in row.items() if name != "cut"}
    if original is None or not row["cut"]:
        return copy
    return copy | {name: original[name] for name in ("key", "value") if _begins(original[name], copy[name])}


def _begins(whole: bytes | None, part: bytes | None) -> bool:
    return whole is not None and part is not None and whole.startswith(part)
