"""What was allowed to readings: the bands of a series along its log, from its windows and the rules. Pure.

A band of a detector without a state of its own follows from the newest closed window, by the detector as the rules of
that place name it. That of one that remembers more is a row of the stores; those that score readings have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from oda.core.bands import with_least
from oda.core.detectors.contract import NOTHING, BandDetector, ScoreDetector
from oda.core.kinds import Bounds, ClosedWindow
from oda.core.rules.match import Rules
from oda.core.rules.rule import Rule
from oda.query.rules import Mark


class Allowed(NamedTuple):
    """What a detector expects; from `low` to `high` is no anomaly; None where the direction does not matter."""

    detector: str
    expected: float
    low: float | None
    high: float | None


class Stretch(NamedTuple):
    """From one offset on, to the next one's, the same holds for the readings of a series in a partition.

    Attributes:
        since: the offset.
        window: the newest closed window; None if the series began anew.
        rules: by which they are judged.
    """

    since: int
    window: ClosedWindow | None
    rules: Rules


def stretches(series: str, windows: Iterable[ClosedWindow], marks: Sequence[Mark], options: Rules) -> list[Stretch]:
    """The log of one series in one partition, cut where something else begins to hold.

    Args:
        series: its name.
        windows: those that closed, in any order.
        marks: rules of the partition, in the order of the log.
        options: what holds before any.
    """
    found: list[Stretch] = []
    window, rules = None, options
    for at, change in _changes(windows, marks):
        if isinstance(change, Mark):
            if change.rules.of(series).cut != rules.of(series).cut:
                window = None
            rules = change.rules
        elif change.closed_by != "rules":  # those were cut short: nobody learns from them
            window = change
        stretch = Stretch(at, window, rules)
        if found and found[-1].since == at:
            found[-1] = stretch
        else:
            found.append(stretch)
    return found


def _changes(windows: Iterable[ClosedWindow], marks: Sequence[Mark]) -> Iterator[tuple[int, ClosedWindow | Mark]]:
    """By offset; of what one record closes the latest window counts. What rules close, they close before they hold."""
    events: list[tuple[int, bool, int, ClosedWindow | Mark]] = [
        (window.closed_at, False, window.start, window) for window in windows
    ]
    events += [(mark.offset, True, 0, mark) for mark in marks]
    for at, _, _, change in sorted(events, key=lambda event: event[:3]):
        yield at, change


def derived(rule: Rule, window: ClosedWindow | None) -> list[Allowed]:
    """The bands that follow from a window alone."""
    if window is None or rule.window is None:
        return []
    found = []
    for watch in rule.detectors:
        if not isinstance(watch.detector, BandDetector) or watch.remembers:
            continue
        band = with_least(watch.detector.update(NOTHING, window), watch)
        if band is not None:
            low = None if watch.direction == "high" else band.expected - band.below
            high = None if watch.direction == "low" else band.expected + band.above
            found.append(Allowed(watch.name, band.expected, low, high))
    return found


def stored(rule: Rule, rows: Iterable[Bounds]) -> list[Allowed]:
    """The bands that are rows, as a rule minds them."""
    watches = {watch.name: watch for watch in rule.detectors}
    found = []
    for row in rows:
        direction = watches[row.detector].direction if row.detector in watches else "both"
        low, high = None if direction == "high" else row.low, None if direction == "low" else row.high
        found.append(Allowed(row.detector, row.expected, low, high))
    return found


def scored(rule: Rule) -> list[str]:
    """The detectors of a rule that score each reading by those before it."""
    return [one.name for one in rule.detectors if isinstance(one.detector, ScoreDetector)]


def is_enough(rule: Rule, count: int) -> bool:
    """Whether windows of so many readings are a baseline to any of a rule's detectors."""
    window = ClosedWindow("", 0, 1, count, 0.0, 1.0, 0, count - 1, count, "data", 0)
    return any(
        not isinstance(watch.detector, BandDetector)
        or watch.remembers
        or watch.detector.update(NOTHING, window) is not None
        for watch in rule.detectors
    )
