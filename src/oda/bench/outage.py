"""What a store that is down for minutes costs: memory, failed tuples, and the work afterwards.

The load goes on all the time. For comparison the topology is held back for a minute before (Storm
deactivates it, everything stays up), so that it has a backlog to work off that no outage caused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from oda.bench.load import SteadyLoad
from oda.bench.recorder import SAMPLE_SECONDS, Recorder, Sample
from oda.chaos.faults import kill
from oda.chaos.system import System
from oda.cluster import processes
from oda.errors import UserError

SETTLE_SECONDS = 30.0
"""Memory grows at first: of young processes before the outage, of what waits in bounds at its start."""

_HELD_BACK_SECONDS = 60.0
_RETRY = re.compile(r"attempt \d+ failed")


class Work(NamedTuple):
    """A backlog being worked off: `first` is the first sample that saw a commit after `began`."""

    began: Sample
    first: Sample
    last: Sample

    @property
    def per_second(self) -> float:
        """Readings a second, from the first commit on."""
        return (self.last.committed - self.first.committed) / (self.last.at - self.first.at)


class Outage(NamedTuple):
    """What was measured.

    Attributes:
        samples: from the first to the last, about one a second.
        down: when the store was killed and when it was started again, of the monotonic clock.
        reference: the backlog worked off before the outage.
        after: the backlog worked off after it.
        failed: tuples that failed (timed out) at the spout.
        retries: attempts that the bolts have logged as failed.
    """

    samples: list[Sample]
    down: tuple[float, float]
    reference: Work
    after: Work
    failed: int
    retries: int

    def during(self) -> list[Sample]:
        """The samples of the outage, once what is bounded has had time to fill."""
        begin, end = self.down
        return [sample for sample in self.samples if begin + SETTLE_SECONDS <= sample.at < end]


def measure(system: System, store: str, seconds: float, rate: int, tell: Callable[[str], None]) -> Outage:
    """Measure an outage; the store runs again and the load has ended when this returns or raises.

    Args:
        system: its topology was just submitted, its topic is empty.
        store: name of the server that is killed.
        seconds: for how long it is down.
        rate: readings a second, all the time.
        tell: called with what is being done.

    Raises:
        UserError: the backlog was not worked off.
    """
    with SteadyLoad(system.settings, rate), Recorder(system) as recorder:
        tell("warming up")
        time.sleep(SETTLE_SECONDS)
        tell("held back for comparison")
        with _held_back(system):
            time.sleep(_HELD_BACK_SECONDS)
        tell("working that off")
        reference = _work_off(recorder, rate)
        tell("running")
        time.sleep(SETTLE_SECONDS)
        failed, began = _failed(system), time.monotonic()
        tell(f"{store} is down")
        with _down(system, store):
            time.sleep(seconds)
            ended = time.monotonic()
            tell(f"{store} starts")
        tell("working off the backlog")
        after = _work_off(recorder, rate)
        failed = _failed(system) - failed
    tell("waiting until the clock has closed the last windows")
    window = system.settings.window
    time.sleep(SETTLE_SECONDS / 2 + (window.size_ms + window.lateness_ms + window.idle_ms) / 1000)
    return Outage(recorder.samples, (began, ended), reference, after, failed, _retries(system))


@contextmanager
def _held_back(system: System) -> Iterator[None]:
    system.storm.deactivate(system.topology)
    try:
        yield
    finally:
        system.storm.activate(system.topology)


@contextmanager
def _down(system: System, store: str) -> Iterator[None]:
    kill(processes.find(system.cluster.layout.data).get(store, []))
    try:
        yield
    finally:
        system.mend()


def _work_off(recorder: Recorder, rate: int) -> Work:
    """Wait until no more is waiting than comes in between two commits."""
    began = first = newest = recorder.newest
    limit = began.at + 120 + began.behind / rate * 5
    while newest.behind > 2 * rate:
        if newest.at > limit:
            raise UserError(f"after {newest.at - began.at:.0f} s {newest.behind} readings are still not worked off")
        time.sleep(SAMPLE_SECONDS)
        newest = recorder.newest
        if first.committed == began.committed:
            first = newest
    return Work(began, first, newest)


def _failed(system: System) -> int:
    topology = system.storm.api.ask(f"topology/{system.storm.api.topology_id(system.topology)}?window=:all-time")
    return sum(spout["failed"] for spout in topology["spouts"])


def _retries(system: System) -> int:
    folder = system.cluster.layout.logs / "workers-artifacts" / str(system.storm.api.topology_id(system.topology))
    return sum(len(_RETRY.findall(log.read_text(errors="replace"))) for log in folder.glob("*/worker.log"))
