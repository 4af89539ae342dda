"""What the judgement keeps of a series: its newest closed window, and what each detector of it has learned."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import msgspec

from oda.core.bands import Detected, Now, about, with_least
from oda.core.detectors.contract import NOTHING, Band, BandDetector, Finding, WindowDetector
from oda.core.incidents import Tracked
from oda.core.kinds import Anomaly, Bounds, ClosedWindow
from oda.core.rules.rule import Rule, Watch


class Watched(msgspec.Struct, array_like=True):
    """Of one detector of a series.

    `detector` tells it, and its parameters, from others; `band` is what applies now, as the detector says.
    """

    detector: int
    learned: Any
    band: Band | None = None
    tracked: Tracked | None = None


class Judged(msgspec.Struct, array_like=True):
    """Of one series; `watches` by what the rule calls them, without those of which nothing is kept.

    `found_at` is, of one that belongs to groups, the offset of the record that brought its last anomaly about.
    """

    name: str
    window: ClosedWindow | None = None
    watches: dict[str, Watched] = {}
    found_at: int = -1

    @property
    def is_followed(self) -> bool:
        """Whether it has an incident, or anomalies that may become one."""
        return any(watched.tracked is not None for watched in self.watches.values())


@cache
def number_of(watch: Watch) -> int:
    """What tells a detector and its parameters from others."""
    return zlib.crc32(repr(watch.detector).encode())


def watched(state: Judged, watch: Watch) -> Watched:
    """What is kept of a watch; begun, if nothing is."""
    found = state.watches.get(watch.name)
    if found is None:
        found = state.watches[watch.name] = Watched(number_of(watch), watch.detector.State())
    return found


def now(state: Judged, rule: Rule) -> Now:
    """What applies to the readings that follow, by the state. Without windows nothing does: each reading changes it."""
    if rule.follows_window:
        return Now(state.name, 0, rule, state.window, None)
    if rule.window is None:
        return Now(state.name, 0, rule, None, [None] * len(rule.detectors))
    bands: list[Band | None] = []
    for watch in rule.detectors:
        band = None
        if isinstance(watch.detector, BandDetector):
            if watch.remembers:
                band = found.band if (found := state.watches.get(watch.name)) else None
            elif state.window is not None:
                band = watch.detector.update(NOTHING, state.window)
        bands.append(with_least(band, watch))
    return Now(state.name, 0, rule, state.window, bands)


def close(state: Judged, rule: Rule, window: ClosedWindow, version: int) -> tuple[Now, list[Detected]]:
    """Learn from a window that has closed: what applies from then on, and what is wrong with the window itself."""
    found: list[Detected] = []
    bands: list[Band | None] = []
    for watch in rule.detectors:
        band, detector = None, watch.detector
        if isinstance(detector, BandDetector):
            if watch.remembers:
                kept = watched(state, watch)
                kept.band = band = detector.update(kept.learned, window)
            else:
                band = detector.update(NOTHING, window)
        elif isinstance(detector, WindowDetector):
            learned = watched(state, watch).learned if watch.remembers else NOTHING
            finding = detector.check(learned, window)
            if finding is not None and _counts(finding, watch):
                found.append((watch, _of_finding(finding, watch, window, version)))
        bands.append(with_least(band, watch))
    return Now(state.name, window.closed_at, rule, window, bands), found


def bounds(now: Now, version: int) -> list[Bounds]:
    """The rows of bands that do not follow from the newest window."""
    if now.rule.follows_window or now.window is None:
        return []
    at = now.series, now.window.start, now.since, now.window.first_offset
    return [
        Bounds(*at, watch.name, band.expected, band.expected - band.below, band.expected + band.above, version)
        for slot, watch in enumerate(now.rule.detectors)
        if watch.remembers and (band := now.band(slot)) is not None
    ]


def begin_anew(state: Judged, former: Rule, rule: Rule) -> list[Tracked]:
    """Other rules hold: what is kept stays where window and detector do. Returns incidents that are followed no more.

    A detector that is new begins with the newest closed window.
    """
    gone: list[Tracked | None] = []
    numbers = {watch.name: number_of(watch) for watch in rule.detectors}
    has_other_windows = former.cut != rule.cut
    for watch in former.detectors:
        is_other = has_other_windows or numbers.get(watch.name) != number_of(watch)
        if is_other and watch.name in state.watches:
            gone.append(state.watches.pop(watch.name).tracked)
    if has_other_windows:
        state.window = None
    for watch in rule.detectors:
        if watch.incident is None and watch.name in state.watches:
            gone.append(state.watches[watch.name].tracked)
            forget_incident(state, watch)
    if state.window is not None:
        for watch in rule.detectors:
            if isinstance(watch.detector, BandDetector) and watch.remembers and watch.name not in state.watches:
                found = watched(state, watch)
                found.band = watch.detector.update(found.learned, state.window)
    return [tracked for tracked in gone if tracked is not None]


def forget_incident(state: Judged, watch: Watch) -> None:
    """There is none, nor anything that may become one."""
    kept = state.watches[watch.name]
    kept.tracked = None
    if kept.band is None and not watch.remembers:
        del state.watches[watch.name]


def restored(state: Judged, rule: Rule) -> None:
    """After a snapshot was decoded: give what was learned its detector's type.

    A detector that this program takes for another one begins anew; what it has found is known all the same.
    """
    for watch in rule.detectors:
        found = state.watches.get(watch.name)
        if found is not None and found.detector == number_of(watch):
            found.learned = msgspec.convert(found.learned, watch.detector.State)
        elif found is not None:
            found.detector, found.learned, found.band = number_of(watch), watch.detector.State(), None


def _counts(finding: Finding, watch: Watch) -> bool:
    distance = finding.value - finding.expected
    return watch.minds(distance) and abs(distance) >= watch.least(finding.expected)


def _of_finding(finding: Finding, watch: Watch, window: ClosedWindow, version: int) -> Anomaly:
    return Anomaly(
        window.series,
        window.start,
        window.first_offset,
        float(finding.value),
        *about(window),
        watch.name,
        float(finding.score),
        float(finding.expected),
        float(finding.low),
        float(finding.high),
        window.closed_at,
        version,
    )
