"""What may be wrong with the rules, seen from what became of the readings."""

from __future__ import annotations

from oda.core.detectors.contract import BandDetector
from oda.core.duration import written
from oda.core.rules.match import Rules
from oda.shown import plain
from oda.trial.found import Counts, Found
from oda.trial.words import rounded

_READINGS = 30
"""In a window that is suggested."""

_LENGTHS = [unit * n for unit in (1000, 60_000, 3_600_000, 86_400_000) for n in (1, 2, 5, 10, 20, 30)]


def hints(found: Found, rules: Rules) -> list[str]:
    """Sentences for people."""
    return [*_sparse(found, rules), *_late(found)]


def _sparse(found: Found, rules: Rules) -> list[str]:
    """Series whose windows are hardly ever a baseline."""
    names = [name for name, counts in found.series.items() if _is_sparse(counts, name, rules)]
    if not names:
        return []
    window = rules.of(names[0]).window
    assert window is not None
    counts = found.series[names[0]]
    interval = (counts.last - counts.first) // (counts.readings - 1)
    size = next((length for length in _LENGTHS if length >= interval * _READINGS), _LENGTHS[-1])
    return [
        f"{len(names)} of {len(found.series)} series are hardly judged, as their windows hold one reading: "
        f"{plain(names[0])} has one every {rounded(interval)}, and windows of {written(window.size_ms)}. In a file "
        f'for --rules, say: rules: [{{series: "*", window: {{size: {written(size)}}}, detectors: [{{use: student}}]}}]'
    ]


def _is_sparse(counts: Counts, name: str, rules: Rules) -> bool:
    rule = rules.of(name)
    if rule.window is None or not any(isinstance(watch.detector, BandDetector) for watch in rule.detectors):
        return False
    return counts.readings > 1 and counts.readings < 2 * counts.windows


def _late(found: Found) -> list[str]:
    late, readings = (sum(getattr(one, what) for one in found.series.values()) for what in ("late", "readings"))
    if late * 100 < readings:
        return []
    return [
        f"{late:,} of {readings:,} readings come when newer ones of their series have closed their windows: sort the "
        "file by time, or give the rule's window a `lateness`"
    ]
