"""A series from which nothing comes any more."""

from __future__ import annotations

from oda.core.detectors.contract import Finding, Nothing, Parameters, WindowDetector
from oda.core.kinds import ClosedWindow


class Silent(WindowDetector[Parameters, Nothing]):
    """A window that the clock closed: no reading came for the rule's `idle` after its end.

    So a series' rule should have an `idle` that is longer than its longest usual pause. Of several windows that one
    silence closes, each is a finding. Its value is 0, the readings that came, its expected value those of the window.
    It is a rule, no estimate, so its score is 100.

    >>> window = ClosedWindow("pump", 0, 2000, 9, 10.0, 0.5, 0, 8, 9, "clock", 0)
    >>> Silent(Parameters()).check(Nothing(), window)
    Finding(value=0, expected=9, low=1, high=9, score=100.0)
    """

    name = "silent/1"

    def check(self, state: Nothing, window: ClosedWindow) -> Finding | None:  # noqa: ARG002 - it has none
        return Finding(0, window.count, 1, window.count, 100.0) if window.closed_by == "clock" else None
