"""What the judgement keeps of a series: its newest closed window, and what each detector of it has learned."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from oda.core.bands import of_window, with_least
from oda.core.detectors.contract import Band, BandDetector, Finding, Nothing, WindowDetector
from oda.core.incidents import Tracked
from oda.core.kinds import Anomaly, ClosedWindow
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
    """Of one series; `watches` by what the rule calls them, without those of which nothing is kept."""

    name: str
    window: ClosedWindow | None = None
    watches: dict[str, Watched] = {}

    @property
    def is_followed(self) -> bool:
        """Whether it has an incident, or anomalies that may become one."""
        return any(watched.tracked is not None for watched in self.watches.values())


class Now(NamedTuple):
    """What applies to the readings of a series: the newest closed window, and a band for each of the rule's watches."""

    window: ClosedWindow | None
    bands: list[Band | None]


def number_of(watch: Watch) -> int:
    """What tells a detector with its parameters."""
    return zlib.crc32(repr(watch.detector).encode())


def remembers(watch: Watch) -> bool:
    """Whether a detector learns anything beyond the newest window."""
    return watch.detector.State is not Nothing


def watched(state: Judged, watch: Watch) -> Watched:
    """What is kept of a watch; begun, if nothing is."""
    found = state.watches.get(watch.name)
    if found is None:
        found = state.watches[watch.name] = Watched(number_of(watch), watch.detector.State())
    return found


def now(state: Judged, rule: Rule) -> Now:
    """What applies, by the state."""
    bands: list[Band | None] = []
    for watch in rule.detectors:
        band = None
        if isinstance(watch.detector, BandDetector):
            if remembers(watch):
                band = found.band if (found := state.watches.get(watch.name)) else None
            elif state.window is not None:
                band = watch.detector.update(Nothing(), state.window)
        bands.append(with_least(band, watch))
    return Now(state.window, bands)


def close(state: Judged, rule: Rule, window: ClosedWindow, version: int) -> Iterator[tuple[Watch, Anomaly]]:
    """Learn from a window that has closed; what its detectors find wrong with the window itself."""
    state.window = window
    for watch in rule.detectors:
        detector = watch.detector
        if isinstance(detector, BandDetector) and remembers(watch):
            found = watched(state, watch)
            found.band = detector.update(found.learned, window)
        elif isinstance(detector, WindowDetector):
            finding = detector.check(watched(state, watch).learned if remembers(watch) else Nothing(), window)
            if finding is not None and _counts(finding, watch):
                yield watch, _of_finding(finding, watch, window, version)


def begin_anew(state: Judged, former: Rule, rule: Rule) -> dict[str, Watched]:
    """Other rules hold: what is kept stays where window and detector do. Returns what is kept no more, by watch.

    A detector that is new begins with the newest closed window.
    """
    gone = {}
    numbers = {watch.name: number_of(watch) for watch in rule.detectors}
    has_other_windows = former.cut != rule.cut
    for watch in former.detectors:
        is_other = has_other_windows or numbers.get(watch.name) != number_of(watch)
        if is_other and watch.name in state.watches:
            gone[watch.name] = state.watches.pop(watch.name)
    if has_other_windows:
        state.window = None
    if state.window is not None:
        for watch in rule.detectors:
            if isinstance(watch.detector, BandDetector) and remembers(watch) and watch.name not in state.watches:
                found = watched(state, watch)
                found.band = watch.detector.update(found.learned, state.window)
    return gone


def restored(state: Judged, rule: Rule) -> None:
    """Out of a snapshot: states of the detectors' own types. What an option has changed since begins anew."""
    for watch in rule.detectors:
        found = state.watches.get(watch.name)
        if found is not None and found.detector == number_of(watch):
            found.learned = msgspec.convert(found.learned, watch.detector.State)
        elif found is not None:
            del state.watches[watch.name]


def _counts(finding: Finding, watch: Watch) -> bool:
    distance = finding.value - finding.expected
    if (watch.direction == "high" and distance < 0) or (watch.direction == "low" and distance > 0):
        return False
    return abs(distance) >= max(watch.least_absolute, watch.least_relative * abs(finding.expected))


def _of_finding(finding: Finding, watch: Watch, window: ClosedWindow, version: int) -> Anomaly:
    return Anomaly(
        window.series,
        window.start,
        window.first_offset,
        float(finding.value),
        *of_window(window),
        watch.name,
        float(finding.score),
        float(finding.expected),
        float(finding.low),
        float(finding.high),
        window.closed_at,
        version,
    )
