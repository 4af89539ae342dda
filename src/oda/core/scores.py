"""The judgement of readings one after the other: by detectors that score each, and of series without windows.

In a series without windows each reading is a window of its own: a detector with bands learns of it when it was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oda.core.bands import Detected, about, anomaly, with_least
from oda.core.batch import Readings
from oda.core.detectors.contract import BandDetector, ScoreDetector
from oda.core.judged import Judged, watched
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.rules.rule import Rule, Watch


class Read(NamedTuple):
    """A series with readings in a part of the log: which of them, by index and in the order of the log."""

    state: Judged
    rule: Rule
    at: NDArray[np.intp]


def scored(
    readings: Readings, series: Sequence[Read], window_at: Callable[[str, int], ClosedWindow | None], version: int
) -> Iterator[Detected]:
    """By detectors that score; those of equal parameters take all their series at once.

    Args:
        readings: in the order of the log.
        series: theirs.
        window_at: the newest closed window of a series as of an offset.
        version: of the rules.
    """
    by_detector: dict[ScoreDetector[object, object], list[tuple[Read, Watch]]] = {}  # type: ignore[type-var]
    for one in series:
        for watch in one.rule.detectors:
            if isinstance(watch.detector, ScoreDetector):
                by_detector.setdefault(watch.detector, []).append((one, watch))
    for detector, watches in by_detector.items():
        which = np.concatenate([np.full(len(one.at), number) for number, (one, _) in enumerate(watches)])
        at = np.concatenate([one.at for one, _ in watches])
        order = np.argsort(at, kind="stable")
        states = [watched(one.state, watch).learned for one, watch in watches]
        found = detector.score(states, which[order], readings.values[at[order]])
        for place in np.flatnonzero(found.alarms).tolist():
            one, watch = watches[which[order[place]]]
            time, offset, value = _reading(readings, at[order[place]])
            score, expected, low, high = (column[place].item() for column in found[1:])
            if watch.minds(value - expected):
                name = one.state.name
                of_window = about(window_at(name, offset))
                found_here = watch.name, score, expected, low, high, offset, version
                yield watch, Anomaly(name, time, offset, value, *of_window, *found_here)


def each(readings: Readings, one: Read, version: int) -> Iterator[Detected]:
    """Of a series without windows, by detectors with bands."""
    for watch in one.rule.detectors:
        detector = watch.detector
        if not isinstance(detector, BandDetector):
            continue
        kept = watched(one.state, watch)
        for at in one.at.tolist():
            time, offset, value = _reading(readings, at)
            band = with_least(kept.band, watch)
            if band is not None:
                distance = value - band.expected
                if (distance > band.above or -distance > band.below) and watch.minds(distance):
                    yield watch, anomaly(one.state.name, time, offset, value, band, None, watch, version)
            window = ClosedWindow(one.state.name, time, time, 1, value, 0.0, offset, offset, offset, "data", 0)
            kept.band = detector.update(kept.learned, window)


def _reading(readings: Readings, at: int | np.intp) -> tuple[int, int, float]:
    """Time, offset, value."""
    return readings.times[at].item(), readings.offsets[at].item(), readings.values[at].item()
