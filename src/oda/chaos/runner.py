"""A run: load, faults chosen by a seed, recovery measured after each, everything healed at the end."""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf, isfinite
from random import Random
from typing import NamedTuple

from oda.chaos.faults import Fault, Kill, MorePartitions, Pause, Resubmit, SecondTopology, Slow, Upgrade
from oda.chaos.load import TrackedLoad, count_in_log
from oda.chaos.recovery import Observer, Recovery
from oda.chaos.rules import RuleChanges
from oda.chaos.signals import deferred
from oda.chaos.stores import FullDisk, TooManyRequests, Unavailable
from oda.chaos.system import System, all_targets, server_target
from oda.chaos.whole import patiently
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
        sound: False if an audit between two faults found anything wrong.
    """

    recoveries: defaultdict[str, list[Recovery]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: int = 0
    in_log: int = 0
    rules: int = 0
    sound: bool = True

    @property
    def recovered(self) -> bool:
        """Whether everything worked again after each fault."""
        return all(isfinite(one.stored) for found in self.recoveries.values() for one in found)

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong so far."""
        return self.recovered and self.sound and self.in_log == self.acknowledged


class Draw(NamedTuple):
    """A fault as the seed and its number say, and how many seconds after the one before."""

    number: int
    fault: Fault
    pause: float


def drawn(faults: Sequence[Fault], seed: int, first: int) -> Iterator[Draw]:
    """From number `first` on; each is a function of the seed, its number, and which faults there are."""
    for number in itertools.count(first):
        random = Random(f"{seed} {number}")
        yield Draw(number, random.choice(faults), random.uniform(1, 5))


def all_faults(system: System) -> list[Fault]:
    """One of each; a full disk only of servers whose data folder is a file system of its own."""
    faults: list[Fault] = [kind(target) for kind in (Kill, Pause) for target in all_targets(system)]
    faults += [Slow(server_target(name)) for name in _SERVERS]
    faults += [FullDisk(s) for s in system.cluster.servers if s.name in _SERVERS and os.path.ismount(s.folder)]
    return [*faults, Unavailable(), TooManyRequests(), Resubmit(), Upgrade(), SecondTopology(), MorePartitions()]


class Run:
    """Strikes a system whose topology is running.

    Args:
        system: what is struck.
        tell: called with each line of the timeline.
        rate: readings a second.
        audit: says whether nothing is wrong. If it is given, it is asked after each fault, which so has a load of its
            own: what the log holds and what was acknowledged is compared, too.
    """

    def __init__(
        self, system: System, tell: Callable[[str], None], rate: float, audit: Callable[[], bool] | None = None
    ) -> None:
        self.timeline = Timeline()
        self._system = system
        self._tell = tell
        self._rate = rate
        self._audit = audit
        self._observer = Observer(system.settings)
        self._began = time.monotonic()

    def strike(self, faults: Sequence[Fault], seed: int, first: int, enough: Callable[[int], bool]) -> None:
        """Strike until `enough(number of faults so far)`; at the end everything is healed.

        Raises:
            UserError: the topology does nothing, although nothing has struck yet, or the load itself failed.
        """
        draws = itertools.takewhile(
            lambda draw: self.timeline.clean and not enough(draw.number - first), drawn(faults, seed, first)
        )
        for number, struck_under_load in ((draw.number, [draw]) for draw in draws) if self._audit else [(first, draws)]:
            with self._load(f"{seed} {number}"):
                for draw in struck_under_load:
                    self._strike(draw)
            self.timeline.in_log = patiently(lambda: count_in_log(self._system.settings))
            if self._audit:
                self.timeline.sound = self._audit()

    @contextmanager
    def _load(self, seed: str) -> Iterator[None]:
        """Readings come, and rules change; it begins when the system works."""
        settings = self._system.settings
        load, rules = TrackedLoad(settings, self._rate), RuleChanges(settings, seed)
        try:
            self._observer.expect(_now_ms())
            if not isfinite(self._observer.wait(RECOVERY_SECONDS).stored):
                raise UserError("the topology stores nothing, and nothing is struck: see the Storm UI and its log")
            yield
        finally:
            rules.stop()
            load.stop()
            self.timeline.rules += rules.applied
            self.timeline.acknowledged += load.acknowledged
        if load.error:
            raise UserError(f"the load failed, so nothing is known of what it met: {load.error}")

    def _strike(self, draw: Draw) -> None:
        time.sleep(draw.pause)
        self._note(f"{draw.number:3}  {draw.fault.name}")
        found = struck(draw.fault, self._system, self._observer)
        self.timeline.recoveries[draw.fault.name].append(found)
        self._note(
            f"     healed after {found.healed:.1f} s, "
            f"judging again after {found.judged:.1f} s, all stored after {found.stored:.1f} s, "
            f"behind by {found.behind:.1f} s at most"
        )
        if not isfinite(found.judged):
            self._note(f"     not judged in time: {', '.join(self._observer.unjudged)}")

    def _note(self, line: str) -> None:
        self._tell(f"{time.monotonic() - self._began:7.1f} s  {line}")


def struck(fault: Fault, system: System, observer: Observer) -> Recovery:
    """Strike, and heal; what is outlived is healed when the rest works without what was struck."""
    began, found = time.monotonic(), None
    observer.begin()
    observer.expect(_now_ms())
    try:
        fault.strike(system)
        if fault.outlived is not None:
            found = observer.wait(RECOVERY_SECONDS)
            if isfinite(found.stored):
                time.sleep(max(0.0, began + fault.outlived - time.monotonic()))
    finally:
        with deferred():
            healing = time.monotonic()
            observer.expect(_now_ms())
            fault.heal(system)
            healed = time.monotonic() - healing
    again = observer.wait(RECOVERY_SECONDS)
    if found is None:
        return again._replace(healed=healed)
    return found._replace(healed=healed if isfinite(again.stored) else inf, behind=again.behind)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
