"""A run: load, faults chosen by a seed, recovery measured after each, and the audit at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from oda.chaos.faults import Fault, System, all_faults
from oda.chaos.load import Judged, Load

RECOVERY_SECONDS = 240.0
"""A system that does not judge again within this time has failed."""


@dataclass
class Timeline:
    """What happened.

    Attributes:
        recoveries: seconds from the end of each fault until new readings were judged again in every
            partition, by the fault's name; None for never.
        acknowledged: readings that Kafka acknowledged to the load.
    """

    recoveries: dict[str, list[float | None]] = field(default_factory=dict)
    acknowledged: int = 0

    @property
    def recovered(self) -> bool:
        """Whether judging went on after every fault."""
        return all(seconds is not None for found in self.recoveries.values() for seconds in found)


def run(
    system: System,
    seed: int,
    enough: Callable[[int], bool],
    tell: Callable[[str], None],
    only: str | None = None,
) -> Timeline:
    """Strike until `enough(number of faults so far)`; at the end everything is healed.

    Args:
        system: its topology is running.
        seed: the same seed chooses the same faults.
        enough: asked before each fault.
        tell: called with each line of the timeline.
        only: choose among the faults whose name contains this.
    """
    random = Random(seed)
    faults = [fault for fault in all_faults(system) if only is None or only in fault.name]
    timeline, began, number = Timeline(), time.monotonic(), 0
    load, judged = Load(system.settings, rate=200), Judged(system.settings)
    try:
        while not enough(number):
            time.sleep(random.uniform(3, 8))
            fault = random.choice(faults)
            number += 1
            tell(f"{time.monotonic() - began:7.1f} s  {number:3}  {fault.name}")
            seconds = _strike(fault, system, judged)
            timeline.recoveries.setdefault(fault.name, []).append(seconds)
            tell(
                f"{time.monotonic() - began:7.1f} s       "
                + (f"judging again after {seconds:.1f} s" if seconds else "NOT RECOVERED")
            )
            if seconds is None:
                break
    finally:
        timeline.acknowledged = load.stop()
    return timeline


def _strike(fault: Fault, system: System, judged: Judged) -> float | None:
    try:
        fault.strike(system)
    finally:
        judged.expect(time.time_ns() // 1_000_000)
        fault.heal(system)
    return judged.wait(RECOVERY_SECONDS)
