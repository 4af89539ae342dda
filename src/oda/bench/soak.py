"""A steady load for long: what grows slowly, or falls behind slowly, shows."""

from __future__ import annotations

import time
from collections.abc import Callable

from oda.bench.load import SteadyLoad
from oda.bench.recorder import Recorder, Sample
from oda.chaos.system import System

_WARM_UP_SECONDS = 120.0


def measure(system: System, rate: int, seconds: float, tell: Callable[[str], None]) -> tuple[list[Sample], float]:
    """Samples of the warm-up and of the time after it, and when the warm-up ended, of the monotonic clock.

    Args:
        system: its topology was just submitted, its topic is empty.
        rate: readings a second.
        seconds: how long, after the warm-up.
        tell: called each minute with how it goes.
    """
    with SteadyLoad(system.settings, rate), Recorder(system) as recorder:
        time.sleep(_WARM_UP_SECONDS)
        began = time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(60, left))
            now = recorder.newest
            tell(f"{now.committed:,} readings committed, {now.behind:,} behind, {sum(now.memory.values()):,.0f} MiB")
    return recorder.samples, began
