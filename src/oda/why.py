"""Why a reading, or a window, is an anomaly: what the stores hold of it, recomputed from the archived readings. Pure.

The core judges again: over the archived readings of the baseline and the anomaly itself, where the detector remembers
nothing beyond the newest window; else over all that the archive has of the series, with every window that the stores
have of it, and the rules as they changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from oda.core.aggregate import Sums, fold
from oda.core.batch import Batch, Closings, Readings, RuleMark
from oda.core.detectors.contract import BandDetector
from oda.core.judgement import Judgement
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.rules.match import Rules
from oda.core.rules.rule import Watch
from oda.settings import Settings


@dataclass(frozen=True)
class Archived:
    """What the stores have of one series in one partition, around an anomaly.

    Attributes:
        readings: of the series, in the order of the log, up to the record that brought the anomaly about.
        windows: of the series, in any order.
        marks: the rules as they changed; none if `rules` hold for all that is there.
    """

    readings: Readings
    windows: Sequence[ClosedWindow]
    marks: Sequence[RuleMark] = ()


@dataclass(frozen=True)
class Explanation:
    """An anomaly with what it was made of.

    Attributes:
        window: the newest closed window then, as it is stored; None if there was none.
        recomputed_window: out of `baseline`, the readings that are archived of it.
        recomputed: the anomaly, as the core finds it now; None if it finds none.
        differs: what is not equal to the last bit, in words.
    """

    anomaly: Anomaly
    window: ClosedWindow | None
    recomputed_window: ClosedWindow | None
    baseline: Readings
    recomputed: Anomaly | None
    differs: list[str]


def watch_of(anomaly: Anomaly, rules: Rules) -> Watch | None:
    """What the rules call by the anomaly's detector; None if they know no such."""
    return next((watch for watch in rules.of(anomaly.series).detectors if watch.name == anomaly.detector), None)


def needs_all(anomaly: Anomaly, rules: Rules) -> bool:
    """Whether more went into it than the newest closed window: it is judged with all that is archived of the series."""
    watch = watch_of(anomaly, rules)
    return watch is None or not isinstance(watch.detector, BandDetector) or watch.remembers


def explain(anomaly: Anomaly, archived: Archived, rules: Rules, settings: Settings) -> Explanation:
    """Recompute an anomaly.

    Args:
        anomaly: as it is stored.
        archived: what there is of its series.
        rules: of the anomaly's version.
        settings: the topology's options.
    """
    window = _baseline(anomaly, archived.windows)
    recomputed_window, baseline = (None, archived.readings.before(0)) if window is None else _again(window, archived)
    differs = []
    if window is not None:
        differs += _differences(f"window of {window.start}", window, recomputed_window)
    elif anomaly.count:
        differs.append(f"the window that starts at {anomaly.window_start} is not in the store")
    windows = [recomputed_window if one is window and recomputed_window else one for one in archived.windows]
    recomputed = _judged(anomaly, archived, windows, rules, settings)
    differs += _differences("anomaly", anomaly, recomputed)
    return Explanation(anomaly, window, recomputed_window, baseline, recomputed, differs)


def _baseline(anomaly: Anomaly, windows: Sequence[ClosedWindow]) -> ClosedWindow | None:
    """The newest closed window, as the anomaly has it: after another window rule two may start at one time."""
    found = [one for one in windows if one.start == anomaly.window_start and one.closed_at <= anomaly.found_at]
    return max(found, key=lambda one: one.closed_at, default=None) if anomaly.count else None


def _again(window: ClosedWindow, archived: Archived) -> tuple[ClosedWindow | None, Readings]:
    """The window out of the readings that are archived of it; None if there are none."""
    readings = archived.readings
    in_time = (window.start <= readings.times) & (readings.times < window.end)
    in_log = (window.first_offset <= readings.offsets) & (readings.offsets <= window.last_offset)
    own = readings.where(in_time & in_log)
    if not len(own.offsets):
        return None, own
    sums = Sums(int(own.offsets[0]), float(own.values[0]))
    fold([sums], np.zeros(len(own.offsets), np.intp), own.values, own.offsets)
    again = msgspec.structs.replace(
        window,
        count=sums.count,
        mean=sums.mean(),
        stddev=sums.stddev(),
        first_offset=sums.first_offset,
        last_offset=sums.last_offset,
    )
    return again, own


def _judged(
    anomaly: Anomaly, archived: Archived, windows: Sequence[ClosedWindow], rules: Rules, settings: Settings
) -> Anomaly | None:
    until = anomaly.found_at + 1
    closed = sorted((one for one in windows if one.closed_at < until), key=lambda one: (one.closed_at, one.start))
    judgement = Judgement(settings)
    if not archived.marks:
        judgement.rules = rules
    marks = [mark for mark in archived.marks if mark.offset < until]
    batch = Batch(0, 0, 0, 0, until, 0, 0, archived.readings.before(until), (), marks, Closings(0, closed))
    judgement.apply(batch)
    place = anomaly.offset, anomaly.detector
    found = (one for one in judgement.outputs(batch)["anomalies"] if (one.offset, one.detector) == place)
    return next(found, None)


def _differences(what: str, stored: Any, recomputed: Any) -> list[str]:
    if recomputed is None:
        return [f"{what}: it can't be found again"]
    pairs = zip(
        msgspec.structs.fields(stored),
        msgspec.structs.astuple(stored),
        msgspec.structs.astuple(recomputed),
        strict=True,
    )
    return [
        f"{what}: {field.name} is {was!r} in the store, {is_!r} recomputed"
        for field, was, is_ in pairs
        if repr(was) != repr(is_)  # which tells 0.0 from -0.0
    ]
