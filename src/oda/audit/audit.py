"""The audit from end to end: read the log, compute what follows, read the stores, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from oda.audit.compare import Archived, Comparison, compare, compare_readings
from oda.audit.expected import Accepted, Document, Expected
from oda.audit.sources import ANOMALIES, WINDOWS, Found, Insights, Kind, Log, Online, Positions, is_beyond
from oda.errors import UserError
from oda.kafka.problems import made_anew
from oda.settings import Settings
from oda.stores.archive import DAY_MS, unpack

T = TypeVar("T")

_POLL_SECONDS = 0.5


class Track(Protocol):
    """Shows progress."""

    def __call__(self, items: Iterable[T], what: str, total: int | None) -> Iterable[T]:
        """Pass items on; `what` says what they are, `total` how many there will be, if that is known."""


class Report(NamedTuple):
    """What an audit found.

    Attributes:
        positions: the part of the log that it covers.
        accepted, rejected: how many messages of it are readings, or none.
        scattered: series that are in several partitions.
        comparisons: of each store.
    """

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
        with closing(Online(settings.cassandra, settings.kafka.readings)) as online:
            _require_same_log(settings, log, online)
        positions = log.positions()
        ends, deadline = positions.ends, monotonic() + seconds
        while (behind := positions.behind(ends)) and monotonic() < deadline:
            show(behind, positions.held)
            sleep(_POLL_SECONDS)
            positions = log.positions()
        return behind


def audit(settings: Settings, track: Track) -> Report:
    """Compare all stores with what the committed part of the log gives.

    Raises:
        UserError: a store can't be reached, or the log's beginning is gone, or it is not the one that was read.
    """
    topic = settings.kafka.readings
    with (
        closing(Log(settings.kafka)) as log,
        closing(Online(settings.cassandra, topic)) as online,
        closing(Insights(settings.elasticsearch, topic)) as insights,
    ):
        _require_same_log(settings, log, online)
        positions = log.positions()
        expected = _read_log(settings, log, positions.committed, track)
        auditor = Auditor(expected, positions.committed, track)
        comparisons = [auditor.archive(online.readings())]
        for kind in (WINDOWS, ANOMALIES):
            by_index = partial(kind.by_index, settings.elasticsearch.prefix)
            comparisons += [
                auditor.results(kind, "Cassandra", kind.by_day, online.results(kind)),
                auditor.results(kind, "Elasticsearch", by_index, insights.results(kind)),
                auditor.results(kind, "Kafka", kind.place, log.results(kind)),
            ]
        comparisons.append(auditor.rejected(log.rejected()))
    accepted = sum(len(readings.offsets) for readings in expected.readings.values())
    return Report(positions, accepted, len(expected.rejected), expected.scattered(), comparisons)


def _require_same_log(settings: Settings, log: Log, online: Online) -> None:
    """Raises UserError when the topic is not the one that the stored results are of."""
    was, now = online.log_id(), log.id()
    if was is not None and now is not None and was != now:
        raise UserError(made_anew(settings.kafka.readings, was, now))


def _read_log(settings: Settings, log: Log, committed: Mapping[int, int], track: Track) -> Expected:
    expected = Expected(settings)
    for partition, end in committed.items():
        records = track(log.records(partition, end), f"Kafka {settings.kafka.readings}, partition {partition}", end)
        expected.read(partition, records)
    return expected


class Auditor:
    """Compares one store after the other; what lies beyond the committed positions is left out."""

    def __init__(self, expected: Expected, committed: Mapping[int, int], track: Track) -> None:
        self._expected = expected
        self._committed = committed
        self._track = track

    def archive(self, rows: Iterable[Any]) -> Comparison:
        """The table `readings`, every reading of every row."""
        result = Comparison("Cassandra", "readings")
        names = self._expected.names
        partitions: dict[int, list[Archived]] = {partition: [] for partition in self._committed}
        for row in self._track(rows, "Cassandra readings", None):
            try:
                offsets, times, values = unpack(row.first_offset, row.data)
                if offsets[-1] != row.last_offset:
                    raise ValueError(f"its last offset is {offsets[-1]}, not {row.last_offset}")
            except ValueError as error:
                place = f"{row.partition}:{row.first_offset}"
                result.add("different", 1, [f"{place}: the row of series {row.series} is damaged: {error}"])
                continue
            series = np.full(len(offsets), names.number(row.series))
            days = np.full(len(offsets), row.day // DAY_MS)
            partitions.setdefault(row.partition, []).append(Archived(offsets, series, times, values, days))
        for partition, parts in partitions.items():
            found = Archived.join(parts)
            if partition in self._committed:
                found = found.before(self._committed[partition])
            compare_readings(result, partition, self._expected.readings.get(partition, Accepted()), found, names)
        return result

    def results(self, kind: Kind, store: str, identify: Callable[[Document], str], found: Found) -> Comparison:
        """The windows or anomalies of one store, whose identities `identify` makes."""
        result = Comparison(store, kind.name)
        rows = self._expected.windows if kind is WINDOWS else self._expected.anomalies
        audited = (
            (identity, row)
            for identity, row in self._track(found, f"{store} {kind.name}", None)
            if not is_beyond(row, kind, self._committed)
        )
        compare(result, {identify(row): row for row in rows}, audited)
        return result

    def rejected(self, found: Iterable[tuple[tuple[int, int], Document]]) -> Comparison:
        """The topic of rejected messages: each with its original key and value, or their beginnings, and a reason."""
        result = Comparison("Kafka", "rejected")
        audited = (
            ((partition, offset), _whole(row, self._expected.rejected.get((partition, offset))))
            for (partition, offset), row in self._track(found, "Kafka rejected", None)
            if partition not in self._committed or offset < self._committed[partition]
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
