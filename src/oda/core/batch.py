"""A batch: the records between two positions of one partition, as one Storm tuple.

Batches of a partition chain: each starts where the one before it ended, also across offsets that
hold no record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core import columns
from oda.core.groups.told import Mark
from oda.core.kinds import ClosedWindow
from oda.core.reading import Reading
from oda.core.text import from_text, to_text

_TYPES = ("<i4", "<i8", "<i8", "<f8")


class Readings(NamedTuple):
    """Readings as columns, in log order, each column of shape (n,).

    `series` holds indexes into `names`; `offsets` Kafka offsets; `times` epoch ms.
    """

    names: list[str]
    series: NDArray[np.int32]
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, offsets: Sequence[int], readings: Sequence[Reading]) -> Readings:
        """Turn rows into columns.

        >>> readings = Readings.of([7, 8], [Reading("a", 1000, 1.5), Reading("b", 1001, 2.5)])
        >>> readings.names, readings.series.tolist(), readings.values.tolist()
        (['a', 'b'], [0, 1], [1.5, 2.5])
        """
        index: dict[str, int] = {}
        series = [index.setdefault(reading.series, len(index)) for reading in readings]
        return cls(
            list(index),
            np.array(series, np.int32),
            np.array(offsets, np.int64),
            np.array([reading.time for reading in readings], np.int64),
            np.array([reading.value for reading in readings], np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Readings]) -> Readings:
        """Parts that follow each other in the log, as one."""
        index: dict[str, int] = {}
        series = [
            np.array([index.setdefault(name, len(index)) for name in part.names], np.int32)[part.series]
            for part in parts
        ]
        columns = zip(*(part[2:] for part in parts), strict=True)
        return cls(list(index), np.concatenate(series), *map(np.concatenate, columns))

    def since(self, offset: int) -> Readings:
        """The readings at `offset` and after it."""
        return self._part(slice(int(np.searchsorted(self.offsets, offset)), None))

    def where(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> Readings:
        """Those for which a mask of shape (n,) is true; or those of some indexes, in their order."""
        return Readings(self.names, self.series[mask], self.offsets[mask], self.times[mask], self.values[mask])

    def rows(self) -> list[NDArray[np.intp]]:
        """By name, the indexes of its readings in the order of the log."""
        order = np.argsort(self.series, kind="stable")
        ends = np.searchsorted(self.series[order], np.arange(1, len(self.names)))
        return np.split(order, ends)[: len(self.names)]  # of nothing there is one part

    def without(self, offsets: Iterable[int]) -> Readings:
        """All but those at some offsets."""
        gone = np.fromiter(offsets, np.int64)
        return self.where(~np.isin(self.offsets, gone)) if len(gone) else self

    def some(self, begin: int, end: int) -> Readings:
        """Those from one index to another, with the names that occur among them."""
        codes, series = np.unique(self.series[begin:end], return_inverse=True)
        _, _, offsets, times, values = self._part(slice(begin, end))
        names = [self.names[code] for code in codes.tolist()]
        return Readings(names, series.astype(np.int32), offsets, times, values)

    def before(self, offset: int) -> Readings:
        return self._part(slice(int(np.searchsorted(self.offsets, offset))))

    def _part(self, of: slice) -> Readings:
        return Readings(self.names, self.series[of], self.offsets[of], self.times[of], self.values[of])


class ClockMark(msgspec.Struct, frozen=True, array_like=True):
    """A clock record (see `oda.core.clock`) at its place in the log: it closes windows of silent series, and ends some.

    `through` has for each series the start of its last window that closes, epoch ms. It holds, like `ended`, for those
    of which no reading lies at or behind `position`.
    """

    offset: int
    position: int
    through: dict[str, int]
    ended: list[str] = []


class RuleMark(msgspec.Struct, frozen=True, array_like=True):
    """A rule record (see `oda.core.rulemark`) at its place in the log: from there on the partition follows the rules.

    It changes nothing unless `version` is beyond the partition's own; `text` is what the rules say.
    """

    offset: int
    version: int
    text: str


class Ended(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A series of which nothing is kept any more, and the offset of the record that ended it."""

    offset: int
    series: str


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reading whose time is an outlier (see `oda.core.lead`)."""

    offset: int


class Repeated(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A derived reading that was there before (see `oda.core.groups.derived`): it counts for nothing."""

    offset: int


class Silent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A series with incidents of which a clock record says that by the clock it is so late, epoch ms, or later."""

    offset: int
    series: str
    time: int


class Closings(NamedTuple):
    """What the window bolt tells of a batch: windows that closed along it, series that ended, readings that are held.

    And which series are silent, and which derived readings are repetitions.

    Each as the log has it. Nothing of what lies before `since` is known to it any more.
    """

    since: int = 0
    windows: Sequence[ClosedWindow] = ()
    ended: Sequence[Ended] = ()
    held: Sequence[Held] = ()
    silent: Sequence[Silent] = ()
    repeated: Sequence[Repeated] = ()

    @classmethod
    def of(cls, since: int, outputs: Mapping[str, Sequence[Any]]) -> Closings:
        """Of what the windows of a partition put out."""
        return cls(since, outputs["closed"], outputs["ended"], outputs["held"], outputs["silent"], outputs["repeated"])

    def to_text(self) -> str:
        """The payload of a Storm tuple."""
        return to_text(self)

    @classmethod
    def from_text(cls, text: str) -> Closings:
        """The inverse of `to_text`."""
        return from_text(text, cls)


class Batch(NamedTuple):
    """One tuple of the stream `readings`; positions are Kafka offsets, times epoch ms.

    `epoch` names the run of the spout that emitted it and `seq` the emission within that run:
    a replay is the same batch with another `seq`. Everything before `committed` is acked and will
    never be replayed. `clock` is the clock of the spout's run when the records were read. `closings` are not in the
    tuple: the anomaly bolt gets them from the window bolt. One of the log of members has what was `told`, nothing else.
    """

    partition: int
    epoch: int
    seq: int
    start: int
    end: int
    committed: int
    clock: int
    readings: Readings
    marks: Sequence[ClockMark] = ()
    rules: Sequence[RuleMark] = ()
    closings: Closings = Closings()
    told: Sequence[Mark] = ()

    @property
    def identity(self) -> tuple[int, int, int]:
        """The same for each attempt at this batch in one run of the spout, which comes first."""
        return self.epoch, self.start, self.end

    def to_tuple(self) -> list[Any]:
        """The values of a Storm tuple, in the order of `FIELDS`."""
        *numbers, readings, marks, rules, _, told = self
        return [*numbers, to_text((readings.names, columns.pack(readings[1:]), marks, rules, told))]

    @classmethod
    def from_tuple(cls, values: Sequence[Any]) -> Batch:
        """The inverse of `to_tuple`."""
        partition, epoch, seq, start, end, committed, clock, payload = values
        names, packed, marks, rules, told = from_text(
            payload, tuple[list[str], bytes, list[ClockMark], list[RuleMark], list[Mark]]
        )
        readings = Readings(names, *columns.unpack(packed, _TYPES))
        return cls(partition, epoch, seq, start, end, committed, clock, readings, marks, rules, told=told)


def joined(batches: Iterable[Batch]) -> list[Batch]:
    """Batches of the same partition that chain, as one."""
    runs: list[list[Batch]] = []
    newest: dict[int, list[Batch]] = {}
    for batch in batches:
        run = newest.get(batch.partition)
        if run and run[-1].end == batch.start:
            run.append(batch)
        else:
            run = newest[batch.partition] = [batch]
            runs.append(run)
    return [
        run[0]._replace(end=run[-1].end, clock=run[-1].clock, readings=Readings.joined([one.readings for one in run]))
        for run in runs
    ]


FIELDS = ["partition", "epoch", "seq", "start", "end", "committed", "clock", "payload"]
