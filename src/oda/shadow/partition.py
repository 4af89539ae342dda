"""One partition of the readings, judged by rules of its own: the machines of the topology in one process. Pure.

The rules hold all along, so rule records mean nothing here. Nor do the clock records of the live system: these name
windows as its own rules cut them. The clock is the largest record timestamp so far, and what it closes, or ends, is
decided between two records. All is a function of the log and of where it begins, however that is cut into parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from oda.core import log
from oda.core.batch import Batch, ClockMark, Closings, Readings
from oda.core.judgement import Judgement
from oda.core.kinds import ANOMALIES, INCIDENTS, WINDOWS, Kind, Meaning
from oda.core.rules.match import Rules
from oda.core.silence import Silence
from oda.core.windows import PartitionWindows, Series
from oda.settings import Settings

_STRIDE = 2
"""Places of a record within: the first is for what the clock says before it, so that it has one of its own."""

_OFFSETS = {
    kind: [field.name for field in kind.fields if field.meaning is Meaning.OFFSET]
    for kind in (WINDOWS, ANOMALIES, INCIDENTS)
}

_NONE = Readings.of([], [])


class ShadowPartition:
    """The state of one partition.

    Args:
        settings: the topology's options.
        rules: that hold all along.
        start: the offset from which on it is read.
        wanted: what is true of the names of series that are judged; None if all are.

    Attributes:
        readings: how many there were.
    """

    def __init__(
        self, settings: Settings, rules: Rules, start: int, wanted: Callable[[str], object] | None = None
    ) -> None:
        self.readings = 0
        self._settings = settings
        self._wanted = wanted
        self._windows = PartitionWindows(settings, start * _STRIDE)
        self._judgement = Judgement(settings, start * _STRIDE)
        self._windows.rules = self._judgement.rules = rules
        self._newest = 0
        self._clock = -1
        self._silence: Silence | None = None

    @property
    def series(self) -> Mapping[str, Series]:
        """What is known of each that has not ended."""
        return self._windows.series

    def take(self, records: Sequence[log.Record]) -> dict[Kind[Any], list[Any]]:
        """Go on with records that follow those of before, one at least; returns the rows that come of them."""
        return self.judge(records, self.read(records))

    def read(self, records: Sequence[log.Record]) -> Readings:
        """The readings among records."""
        found = log.read(records, self._settings.kafka.group, self._settings.readings.max_ahead_ms, _none).readings
        if self._wanted is None:
            return found
        return found.where(np.array([bool(self._wanted(name)) for name in found.names], np.bool_)[found.series])

    def judge(self, records: Sequence[log.Record], readings: Readings) -> dict[Kind[Any], list[Any]]:
        """As `take`, where the readings have been read."""
        self.readings += len(readings.offsets)
        readings = readings._replace(offsets=readings.offsets * _STRIDE + 1)
        places = np.array([record.offset for record in records]) * _STRIDE
        timestamps = [record.timestamp for record in records]
        newest = np.maximum.accumulate([self._newest, *timestamps])[1:]
        self._newest = int(newest[-1])
        # The clock goes by ticks, as the live one does; within one nothing depends on where a part ends.
        tick = self._settings.readings.clock_ms
        clocks = newest // tick * tick
        starts = [0, *(np.flatnonzero(np.diff(clocks)) + 1).tolist()]
        ends = [*places[starts].tolist(), int(places[-1]) + _STRIDE]
        for at, (place, end) in zip(starts, pairwise(ends), strict=True):
            self._ask(int(clocks[at]), place)
            self._apply(readings.since(place).before(end), end)
        return self._judge(readings)

    def _ask(self, clock: int, place: int) -> None:
        """Close and end what is over by the clock (epoch ms), at a place that no record has."""
        if clock == self._clock:
            return
        self._clock = clock
        if self._silence is None:
            self._silence = Silence(clock)
        through, ended = self._silence.due(clock, self._windows)
        if through or ended:
            mark = ClockMark(place, place, through, ended)
            self._windows.apply(self._batch(self._windows.position, place + 1)._replace(marks=[mark]))

    def _apply(self, readings: Readings, end: int) -> None:
        """Bring the windows forward; all of the readings came at the clock's time."""
        assert self._silence is not None
        codes, series = np.unique(readings.series, return_inverse=True)
        names = [readings.names[code] for code in codes.tolist()]
        self._silence.heard(self._clock, names)
        part = readings._replace(names=names, series=series.astype(np.int32))
        self._windows.apply(self._batch(self._windows.position, end, part))

    def _judge(self, readings: Readings) -> dict[Kind[Any], list[Any]]:
        """Bring the judgement to where the windows are."""
        batch = self._batch(self._judgement.position, self._windows.position, readings)
        outputs = self._windows.outputs(batch)
        batch = batch._replace(closings=Closings.of(self._windows.forgotten, outputs))
        self._judgement.apply(batch)
        found = {WINDOWS.name: outputs["closed"]} | self._judgement.outputs(batch)
        return {kind: [_as_in_log(row, offsets) for row in found[kind.name]] for kind, offsets in _OFFSETS.items()}

    def _batch(self, start: int, end: int, readings: Readings = _NONE) -> Batch:
        """What lies before the part that is being taken will not be asked for again."""
        return Batch(0, 0, 0, start, end, self._judgement.position, 0, readings)


def _as_in_log(row: msgspec.Struct, offsets: Sequence[str]) -> msgspec.Struct:
    """With the offsets of the records, in place of the places within."""
    return msgspec.structs.replace(row, **{name: getattr(row, name) // _STRIDE for name in offsets})


def _none(version: int) -> str:
    raise LookupError(version)
