"""The Numenta Anomaly Benchmark: its files, and where a detector raises an alarm in them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.bench.nab_scoring import PROFILES, Labelled, normalised
from oda.core.detectors.contract import BandDetector, Detector, ScoreDetector, WindowDetector
from oda.core.kinds import ClosedWindow
from oda.errors import UserError

_LABELS = {"windows.json": ".", "labels/combined_windows.json": "data"}
"""Where the labels may be, and then the files: as in `../shared/nab`, or as in NAB's own repository."""


class File(NamedTuple):
    """Times in epoch ms (as if they were UTC) and values, shape (n,), and the labelled windows' first and last rows."""

    name: str
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    windows: list[tuple[int, int]]


@dataclass(frozen=True)
class Cut:
    """For detectors that know windows: readings in one, and readings after an alarm in which there is none."""

    readings: int = 288
    rest: int = 120


def read(folder: Path) -> list[File]:
    """All files that have labels.

    Raises:
        UserError: they are not there.
    """
    for labels, data in _LABELS.items():
        if (folder / labels).is_file():
            windows = msgspec.json.decode((folder / labels).read_bytes(), type=dict[str, list[tuple[str, str]]])
            return [_file(folder / data, name, of) for name, of in sorted(windows.items())]
    raise UserError(f"{folder} has none of {', '.join(_LABELS)}: give NAB's files with --data")


def _file(folder: Path, name: str, windows: Sequence[tuple[str, str]]) -> File:
    with (folder / name).open() as file:
        rows = list(csv.reader(file))[1:]
    times = np.array([_time(time) for time, _ in rows])
    rows_at = {time: at for at, time in reversed(list(enumerate(times.tolist())))}  # of equal times the first
    places = [(rows_at[_time(first)], rows_at[_time(last)]) for first, last in windows]
    return File(name, times, np.array([float(value) for _, value in rows]), places)


def _time(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def scores(detector: Detector[Any, Any], files: Sequence[File], cut: Cut) -> Mapping[str, float]:
    """NAB's score of a detector in each profile."""
    found = zip(_alarms(detector, files, cut), files, strict=True)
    labelled = [Labelled(alarms, file.windows) for alarms, file in found]
    return {name: normalised(labelled, profile) for name, profile in PROFILES.items()}


def _alarms(detector: Detector[Any, Any], files: Sequence[File], cut: Cut) -> Iterator[NDArray[np.bool_]]:
    """Of each file, one pass, one after the other as a log would have them."""
    if not isinstance(detector, ScoreDetector):
        yield from (_rested(_by_windows(detector, file, cut.readings), cut.rest) for file in files)
        return
    which = np.repeat(np.arange(len(files)), [len(file.values) for file in files])
    scored = detector.score([detector.State() for _ in files], which, np.concatenate([file.values for file in files]))
    yield from (scored.alarms[which == at] for at in range(len(files)))


def _by_windows(detector: Detector[Any, Any], file: File, readings: int) -> NDArray[np.bool_]:
    """Windows of so many readings, judged by those before, or themselves: then a finding is at the next reading."""
    state, found = detector.State(), np.zeros(len(file.values), np.bool_)
    for first in range(0, len(file.values) - readings, readings):
        end = first + readings
        values, to = file.values[first:end], slice(end, end + readings)
        start, after = file.times[[first, end]].tolist()
        mean, stddev = float(values.mean()), float(values.std())
        window = ClosedWindow(file.name, start, after, readings, mean, stddev, first, end - 1, end, "data", 0)
        if isinstance(detector, BandDetector):
            band = detector.update(state, window)
            if band:
                distance = file.values[to] - band.expected
                found[to] = (distance > band.above) | (-distance > band.below)
        elif isinstance(detector, WindowDetector):
            found[end] = detector.check(state, window) is not None
    return found


def _rested(alarms: NDArray[np.bool_], rest: int) -> NDArray[np.bool_]:
    """Without the alarms that come in the `rest` readings after another one."""
    kept = np.zeros_like(alarms)
    last = -rest - 1
    for at in np.flatnonzero(alarms).tolist():
        if at - last > rest:
            kept[at], last = True, at
    return kept
