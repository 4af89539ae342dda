"""What a series gets: its window, its detectors and what comes of their anomalies. Two that are equal are the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oda.core.detectors.contract import BandDetector, Detector, Nothing, ScoreDetector
from oda.core.detectors.sigma import Sigma, SigmaParameters
from oda.core.incidents import Policy
from oda.core.rules.file import Direction, Severity
from oda.settings import Settings


@dataclass(frozen=True)
class WindowRule:
    """Of tumbling windows; see `oda.settings.Window`."""

    size_ms: int
    lateness_ms: int
    idle_ms: int

    @property
    def cut(self) -> tuple[int, int]:
        """What must be the same for open windows to go on."""
        return self.size_ms, self.lateness_ms


@dataclass(frozen=True)
class Watch:
    """One detector of a series.

    Attributes:
        name: what it is called in results; no other of the same rule is called so.
        least_absolute, least_relative: smaller deviations do not matter to detectors with bands or of windows: in the
            values' unit, as a share of what was expected.
        incident: None if its anomalies make none.
    """

    name: str
    detector: Detector[Any, Any]
    direction: Direction = "both"
    least_absolute: float = 0.0
    least_relative: float = 0.0
    severity: Severity = "warning"
    incident: Policy | None = None

    def minds(self, distance: float) -> bool:
        """Whether a distance from what was expected, of this sign, matters."""
        return not ((self.direction == "high" and distance < 0) or (self.direction == "low" and distance > 0))

    @property
    def remembers(self) -> bool:
        """Whether its detector learns anything beyond the newest window."""
        return self.detector.State is not Nothing

    @cached_property
    def has_least(self) -> bool:
        """Whether some deviations do not matter."""
        return self.least_absolute > 0 or self.least_relative > 0

    def least(self, expected: float) -> float:
        """The least distance from what was expected that matters."""
        return max(self.least_absolute, self.least_relative * abs(expected))


@dataclass(frozen=True)
class Rule:
    """What holds for a series.

    Attributes:
        window: None if each reading is a window of its own.
        lead_ms: how far ahead of its partition's newest time a reading's may be; None for any.
        labels: names with their values, sorted.
    """

    window: WindowRule | None
    detectors: tuple[Watch, ...]
    lead_ms: int | None = None
    labels: tuple[tuple[str, str], ...] = ()

    @cached_property
    def cut(self) -> tuple[int, int] | None:
        """What must be the same for a series not to begin anew."""
        return None if self.window is None else self.window.cut

    @cached_property
    def quiets(self) -> list[int]:
        """How long its incidents are to be quiet, each length once, ms, ascending."""
        return sorted({watch.incident.quiet_ms for watch in self.detectors if watch.incident})

    @cached_property
    def labels_text(self) -> str:
        """The labels as a JSON object."""
        return json.dumps(dict(self.labels), ensure_ascii=False)

    @cached_property
    def follows_window(self) -> bool:
        """Whether all that applies to a series follows from its newest closed window."""
        return self.window is not None and all(
            isinstance(watch.detector, BandDetector) and not watch.remembers for watch in self.detectors
        )

    @cached_property
    def looks_at_each(self) -> bool:
        """Whether readings are judged one after the other, and not only by what applies to many."""
        return self.window is None or any(isinstance(watch.detector, ScoreDetector) for watch in self.detectors)


def window_of_options(settings: Settings) -> WindowRule:
    """The window of the topology's options."""
    return WindowRule(settings.window.size_ms, settings.window.lateness_ms, settings.window.idle_ms)


def detector_of_options(settings: Settings) -> Sigma:
    """The detector of the topology's options."""
    judge = settings.judge
    return Sigma(SigmaParameters(sigmas=judge.sigmas, min_count=judge.min_count, min_stddev=judge.min_stddev))


def rule_of_options(settings: Settings) -> Rule:
    """The rule of a series that no other is for: the topology's options."""
    detector = detector_of_options(settings)
    return Rule(window_of_options(settings), (Watch(detector.name, detector),))
