"""The detectors a second time, in the plainest Python, one value at a time, to be checked by eye.

What they say must be what `oda.core.detectors` says, to the last bit, so the order in which they add and multiply is
that of the detectors' docstrings; the rest is theirs alone. A user's own detectors have no twins.
"""

from __future__ import annotations

from oda.audit.detectors.bands import Robust, Seasonal, Sigma, Student
from oda.audit.detectors.scores import D1, D5
from oda.audit.detectors.tail import score
from oda.audit.detectors.twin import BandTwin, ScoreTwin, Twin, WindowTwin
from oda.audit.detectors.windows import Level, Rate, Silent, Stuck

__all__ = ["TWINS", "BandTwin", "ScoreTwin", "Twin", "WindowTwin", "score"]

TWINS: dict[str, type[Twin]] = {
    "sigma/1": Sigma,
    "student/1": Student,
    "robust/1": Robust,
    "seasonal/1": Seasonal,
    "stuck/1": Stuck,
    "silent/1": Silent,
    "level/1": Level,
    "rate/1": Rate,
    "d1/1": D1,
    "d5/1": D5,
}
"""By the detectors' full names."""
