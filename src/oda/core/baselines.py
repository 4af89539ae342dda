"""The baselines of a batch, and the judgement of its readings against them.

A baseline is the newest closed window of a series as of one place in the log. `judge` compares
all readings of a batch at once; it keeps nothing between batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, log10, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.batch import Readings
from oda.core.detectors.sigma import Sigma
from oda.core.kinds import Anomaly, ClosedWindow
from oda.settings import Judge

_NONE = ClosedWindow("", 0, 0, 0, 0.0, 0.0, -1, -1, -1, "clock", 0)
"""In place of a baseline where a series has none any more: no reading is judged by a window of no readings."""


class Baselines(NamedTuple):
    """Baselines as columns of shape (n,).

    `series` holds indexes into the batch's `names`, ascending; each applies to the readings of its series
    from offset `since` on, until the next one of that series does. `starts` in epoch ms.
    """

    series: NDArray[np.int32]
    since: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    stddevs: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, ClosedWindow | None]]) -> Baselines:
        """From (index of the series in the batch, first offset it applies to, window or None).

        Those of a series follow each other, in the order in which they take each other's place.
        """
        windows = [window or _NONE for _, _, window in rows]
        return cls(
            np.array([index for index, _, _ in rows], np.int32),
            np.array([since for _, since, _ in rows], np.int64),
            np.array([window.start for window in windows], np.int64),
            np.array([window.count for window in windows], np.int64),
            np.array([window.mean for window in windows], np.float64),
            np.array([window.stddev for window in windows], np.float64),
        )


def judge(readings: Readings, baselines: Baselines, rules: Judge) -> list[Anomaly]:
    """The readings with `abs(value - mean) > sigmas * max(stddev, min_stddev)`, in log order."""
    if not len(readings.offsets) or not len(baselines.series):
        return []
    which, found = _match(readings, baselines)
    distance = np.abs(readings.values - baselines.means[which])
    scales = np.maximum(baselines.stddevs, rules.min_stddev)
    allowed = rules.sigmas * scales
    anomalous = found & (baselines.counts[which] >= rules.min_count) & (distance > allowed[which])
    return [
        _anomaly(readings, at, baselines, which[at], scales[which[at]].item(), allowed[which[at]].item())
        for at in np.flatnonzero(anomalous)
    ]


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


def _anomaly(
    readings: Readings, at: np.intp, baselines: Baselines, which: np.intp, scale: float, allowed: float
) -> Anomaly:
    time, offset, value = (column[at].item() for column in (readings.times, readings.offsets, readings.values))
    mean, stddev, count, start = (
        column[which].item() for column in (baselines.means, baselines.stddevs, baselines.counts, baselines.starts)
    )
    return Anomaly(
        readings.names[readings.series[at]],
        time,
        offset,
        value,
        mean,
        stddev,
        count,
        start,
        detector=Sigma.name,
        score=_score(abs(value - mean), scale),
        expected=mean,
        low=mean - allowed,
        high=mean + allowed,
        found_at=offset,
        rules=0,
    )


def _score(distance: float, scale: float) -> float:
    """`-10 log10 p`, p the probability of normal noise at least so far away; no more than 100."""
    p = erfc(distance / scale / sqrt(2)) if scale else 0.0
    return min(100.0, round(-10 * log10(p), 2)) if p else 100.0
