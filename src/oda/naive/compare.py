"""The naive program and ODA beside each other: the same numbers, and the same is done to both."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from oda.audit.audit import audit, wait_until_drained
from oda.chaos.system import System
from oda.core.kinds import ANOMALIES, WINDOWS
from oda.errors import UserError
from oda.naive.processes import Server, running, serving
from oda.naive.server import EVENT, INTERVAL
from oda.naive.watcher import SECONDS
from oda.settings import Settings
from oda.stores.cassandra import CassandraStore

FAULT_SECONDS = 5.0

_LIMIT_SECONDS = 180.0
"""For what takes some seconds, on however busy a machine."""

_AVERAGE = re.compile(r"^average .* of (\d+) numbers$", re.MULTILINE)

Tell = Callable[[str], None]
"""Is told what is being done."""

T = TypeVar("T")


class Naive(NamedTuple):
    """What became of the numbers at the naive watchers.

    Attributes:
        unseen: were sent while none was there.
        unjudged: came after that before there was an average to judge them by.
        averages: of how many numbers each average was that was said after that.
    """

    unseen: int
    unjudged: int
    averages: list[int]


class Stored(NamedTuple):
    """What became of them in ODA.

    Attributes:
        accepted: readings that the collector took.
        readings: in the archive.
        windows: of how many readings each was, by time.
        anomalies: rows.
        wrong: rows of any store that are missing, extra, or different, by the audit.
    """

    accepted: int
    readings: int
    windows: list[int]
    anomalies: int
    wrong: int


class Hurt(NamedTuple):
    """`sent`: numbers, from when both listened to the end."""

    sent: int
    naive: Naive
    stored: Stored


def hurt(system: System, config: Path, seconds: float, tell: Tell) -> Hurt:
    """Kill the naive watcher for 5 s, then stop it for 5 s, and do the same to processes of ODA's.

    Args:
        system: its topology runs, its topic is empty.
        config: its config.json.
        seconds: how long both go on undisturbed before, between and after that.
    """
    with tempfile.TemporaryDirectory() as spool, serving(INTERVAL) as server:
        arguments = ["--config", str(config), "collect", "socketio", server.url, "--event", EVENT, "--series", EVENT]
        with running(*arguments, "--spool", spool) as collector:
            server.wait_for_clients(1)
            begun = server.sent()
            naive = _hurt_both(server, system, seconds, tell)
            accepted = int(collector.end().split()[0])
            sent = server.sent() - begun
    tell("ODA's stores are audited")
    return Hurt(sent, naive, _stored(system.settings, accepted))


def _hurt_both(server: Server, system: System, seconds: float, tell: Tell) -> Naive:
    with running("naive", "watch", server.url) as first:
        server.wait_for_clients(2)
        tell("both take a random walk of 100 numbers a second")
        time.sleep(seconds)
        tell("the naive watcher is killed, and ODA's process that judges")
        for process in [first.process, *system.component("anomalies")]:
            process.kill()
        server.wait_for_clients(1)
        killed = server.sent()
    time.sleep(FAULT_SECONDS)
    with running("naive", "watch", server.url) as second:
        server.wait_for_clients(2)
        unseen = server.sent() - killed
        time.sleep(seconds)
        tell("the naive watcher is stopped, and ODA's process that makes windows")
        stopped = [second.process, *system.component("windows")]
        for process in stopped:
            process.suspend()
        time.sleep(FAULT_SECONDS)
        for process in stopped:
            process.resume()
        time.sleep(seconds)
        unjudged, *averages = map(int, _AVERAGE.findall(second.end()))
    return Naive(unseen, unjudged, averages)


def _stored(settings: Settings, accepted: int) -> Stored:
    if behind := wait_until_drained(settings, _LIMIT_SECONDS, lambda *_: None):
        raise UserError(f"{behind} readings still wait after {_LIMIT_SECONDS:.0f} s: is the machine too busy?")
    wrong = audit(settings, _untold).faults
    with closing(CassandraStore(settings)) as store:
        windows = sorted((row["start"], row["count"]) for _, row in store.rows(WINDOWS))
        anomalies = sum(1 for _ in store.rows(ANOMALIES))
        span = windows[0][0], windows[-1][0] + 2**32
        readings = sum(len(some) for _, _, some in store.readings_between(*span))
    return Stored(accepted, readings, [count for _, count in windows], anomalies, wrong)


def _untold(items: Iterable[T], what: str, total: int | None) -> Iterable[T]:  # noqa: ARG001 - an audit's `Track`
    return items


class Rates(NamedTuple):
    """Numbers a second that a server sends as fast as it can, and that each watcher of some sees."""

    sent: float
    seen: float


def rates(watchers: int, seconds: float) -> Rates:
    """With so many watchers, each of which is sent all numbers."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(0.0))
        listening = [stack.enter_context(running("naive", "watch", server.url)) for _ in range(watchers)]
        server.wait_for_clients(watchers)
        begun, began = server.sent(), time.monotonic()
        time.sleep(seconds)
        sent = (server.sent() - begun) / (time.monotonic() - began)
        averages = [int(count) for watcher in listening for count in _AVERAGE.findall(watcher.text())]
    return Rates(sent, median(averages) / SECONDS)
