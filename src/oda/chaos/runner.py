"""A run: load, faults chosen by a seed, recovery measured after each, everything healed at the end."""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from random import Random

from oda.chaos.faults import Fault, Kill, MorePartitions, Pause, Resubmit, SecondTopology, Slow
from oda.chaos.load import TrackedLoad, count_in_log
from oda.chaos.recovery import Observer, Recovery
from oda.chaos.rules import RuleChanges
from oda.chaos.signals import deferred
from oda.chaos.stores import FullDisk, TooManyRequests, Unavailable
from oda.chaos.system import System, all_targets, server_target
from oda.errors import UserError
from oda.stores.catalogue import STORES

RECOVERY_SECONDS = 240.0
"""A system that does not work again within this time has failed."""

_SERVERS = [store.server for store in STORES if store.server]


@dataclass
class Timeline:
    """What happened.

    Attributes:
        recoveries: by the fault's name.
        acknowledged: how many readings Kafka acknowledged to the load.
        in_log: how many messages its topic holds.
        rules: how often other rules were applied.
    """

    recoveries: defaultdict[str, list[Recovery]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: int = 0
    in_log: int = 0
    rules: int = 0

    @property
    def recovered(self) -> bool:
        """Whether everything worked again after each fault."""
        return all(isfinite(one.stored) for found in self.recoveries.values() for one in found)


def all_faults(system: System) -> list[Fault]:
    """One of each; a full disk only of servers whose data folder is a file system of its own."""
    faults: list[Fault] = [kind(target) for kind in (Kill, Pause) for target in all_targets(system)]
    faults += [Slow(server_target(name)) for name in _SERVERS]
    faults += [FullDisk(s) for s in system.cluster.servers if s.name in _SERVERS and os.path.ismount(s.folder)]
    return [*faults, Unavailable(), TooManyRequests(), Resubmit(), SecondTopology(), MorePartitions()]


def run(
    system: System,
    seed: int,
    first: int,
    enough: Callable[[int], bool],
    tell: Callable[[str], None],
    only: str | None = None,
) -> Timeline:
    """Strike until `enough(number of faults so far)`; at the end everything is healed.

    Args:
        system: its topology is running.
        seed: with the number of a fault it says which one that is, and how long the pause before it.
        first: the number to begin with.
        enough: asked before each fault.
        tell: called with each line of the timeline.
        only: choose among the faults whose name contains this.

    Raises:
        UserError: the topology does nothing, although nothing has struck yet.
    """
    faults = [fault for fault in all_faults(system) if only is None or only in fault.name]
    timeline, began = Timeline(), time.monotonic()
    load, observer = TrackedLoad(system.settings, rate=200), Observer(system.settings)
    rules = RuleChanges(system.settings, f"{seed} {first}")
    try:
        observer.expect(time.time_ns() // 1_000_000)
        if not isfinite(observer.wait(RECOVERY_SECONDS).stored):
            raise UserError("the topology stores nothing, and no fault has struck yet: see the Storm UI and its log")
        for number in itertools.count(first):
            if enough(number - first) or not timeline.recovered:
                break
            random = Random(f"{seed} {number}")
            time.sleep(random.uniform(1, 5))
            fault = random.choice(faults)
            tell(f"{time.monotonic() - began:7.1f} s  {number:3}  {fault.name}")
            found = _strike(fault, system, observer)
            timeline.recoveries[fault.name].append(found)
            tell(
                f"{time.monotonic() - began:7.1f} s       healed after {found.healed:.1f} s, "
                f"judging again after {found.judged:.1f} s, all stored after {found.stored:.1f} s"
            )
    finally:
        rules.stop()
        load.stop()
    timeline.rules = rules.applied
    timeline.acknowledged, timeline.in_log = load.acknowledged, count_in_log(system.settings)
    return timeline


def _strike(fault: Fault, system: System, observer: Observer) -> Recovery:
    try:
        fault.strike(system)
    finally:
        with deferred():
            observer.expect(time.time_ns() // 1_000_000)
            fault.heal(system)
    return observer.wait(RECOVERY_SECONDS)
