"""A user's own detector, which has no twin: it is run itself, one value at a time, on another cut of the log.

So the audit can't tell whether it is right, but it does tell when it does not repeat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oda.audit.detectors import BandTwin, ScoreTwin, WindowTwin
from oda.core.detectors.contract import BandDetector, Detector, WindowDetector
from oda.core.kinds import ClosedWindow


class _Band(BandTwin):
    def __init__(self, detector: Any) -> None:
        self._detector, self._state = detector, detector.State()

    def learn(self, window: ClosedWindow) -> Any:
        return self._detector.update(self._state, window)


class _Window(WindowTwin):
    def __init__(self, detector: Any) -> None:
        self._detector, self._state = detector, detector.State()

    def look(self, window: ClosedWindow) -> Any:
        return self._detector.check(self._state, window)


class _Score(ScoreTwin):
    def __init__(self, detector: Any) -> None:
        self._detector, self._state = detector, detector.State()

    def read(self, value: float) -> Any:
        found = self._detector.score([self._state], np.zeros(1, np.intp), np.array([value]))
        return tuple(column[0].item() for column in found)


def own(detector: Detector[Any, Any]) -> BandTwin | WindowTwin | ScoreTwin:
    """A detector in the place of its twin."""
    if isinstance(detector, BandDetector):
        return _Band(detector)
    return _Window(detector) if isinstance(detector, WindowDetector) else _Score(detector)
