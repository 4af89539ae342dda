"""The baselines of a batch, and the judgement of its readings against them.

A baseline is the newest closed window of a series as of one place in the log. `judge` compares
all readings of a batch at once; it keeps nothing between batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core import columns
from oda.core.batch import Readings
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.text import from_text, to_text
from oda.settings import Judge

_TYPES = ("<i4", "<i8", "<i8", "<i8", "<f8", "<f8")


class Baselines(NamedTuple):
    """Baselines as columns of shape (n,).

    `series` holds indexes into the batch's `names`; each applies to the readings of its series
    from offset `since` on, until the next one of that series does. `starts` in epoch ms.
    """

    series: NDArray[np.int32]
    since: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    stddevs: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, ClosedWindow]]) -> Baselines:
        """From (index of the series in the batch, first offset it applies to, window)."""
        ordered = sorted(rows, key=lambda row: (row[0], row[1], row[2].start))
        return cls(
            np.array([index for index, _, _ in ordered], np.int32),
            np.array([since for _, since, _ in ordered], np.int64),
            np.array([window.start for _, _, window in ordered], np.int64),
            np.array([window.count for _, _, window in ordered], np.int64),
            np.array([window.mean for _, _, window in ordered], np.float64),
            np.array([window.stddev for _, _, window in ordered], np.float64),
        )

    def to_text(self) -> str:
        """The payload of a Storm tuple."""
        return to_text(columns.pack(self))

    @classmethod
    def from_text(cls, text: str) -> Baselines:
        """The inverse of `to_text`."""
        return cls(*columns.unpack(from_text(text, bytes), _TYPES))


def judge(readings: Readings, baselines: Baselines, rules: Judge) -> list[Anomaly]:
    """The readings with `abs(value - mean) > sigmas * max(stddev, min_stddev)`, in log order."""
    if not len(readings.offsets) or not len(baselines.series):
        return []
    which, found = _match(readings, baselines)
    distance = np.abs(readings.values - baselines.means[which])
    allowed = rules.sigmas * np.maximum(baselines.stddevs, rules.min_stddev)
    anomalous = found & (baselines.counts[which] >= rules.min_count) & (distance > allowed[which])
    return [_anomaly(readings, int(at), baselines, int(which[at])) for at in np.flatnonzero(anomalous)]


def _match(readings: Readings, baselines: Baselines) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each reading the index of its baseline, and whether it has one."""
    # One sorted number for (series, offset): offsets count from the batch's first, to leave room.
    first = min(int(readings.offsets[0]), int(baselines.since.min()))
    span = max(int(readings.offsets[-1]), int(baselines.since.max())) - first + 1
    since = baselines.series.astype(np.int64) * span + (baselines.since - first)
    place = readings.series.astype(np.int64) * span + (readings.offsets - first)
    which = np.searchsorted(since, place, side="right") - 1
    found = (which >= 0) & (baselines.series[which] == readings.series)
    return which, found


def _anomaly(readings: Readings, at: int, baselines: Baselines, which: int) -> Anomaly:
    values: list[Any] = [column[at].item() for column in (readings.times, readings.offsets, readings.values)]
    baseline = [
        column[which].item() for column in (baselines.means, baselines.stddevs, baselines.counts, baselines.starts)
    ]
    return Anomaly(readings.names[readings.series[at]], *values, *baseline)
