"""A thread that writes to a store, so that a bolt can go on answering Storm's heartbeats.

What waits is written together, up to a limit: of all that waited behind an outage, the first would be
acknowledged only with the last, long after Storm's time-out. A store that fails is asked again with
growing pauses for as long as it takes: nothing is dropped, nothing is failed; what is un-acknowledged
holds the spout back. Only what Storm itself has given up (and replays) is let go, which bounds the
memory.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from logging import Logger
from math import inf
from typing import Generic, TypeVar

import tenacity

from oda.world import WORLD, World

Item = TypeVar("Item")

_MOST_ITEMS = 96
"""That are written together."""


_LASTING_SECONDS = 10.0
"""A failure that has lasted for so long is told to people."""

_TELL_SECONDS = 180.0
"""How often, while it lasts."""


class FatalError(Exception):
    """Trying again would be wrong: the process has to end."""


class BackgroundWriter(Generic[Item]):
    """Hands items to `write` in order, up to `_MOST_ITEMS` that wait at once.

    Args:
        write: writes all items of a list, or raises; is called again with the same list then. The first list is
            empty, so that the store is connected to before there is work.
        done: is called after that with the same list.
        keep_seconds: items that waited longer are let go.
        linger_seconds: how long the first item waits for others to be written with it.
        log: where each of a store's failures goes.
        tell: is told, in the store's own words, of a failure that lasts: for where people look.
        world: whose clock counts, and where the thread is started.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], None],
        done: Callable[[list[Item]], None],
        keep_seconds: float,
        linger_seconds: float,
        log: Logger,
        tell: Callable[[str], None],
        world: World = WORLD,
    ) -> None:
        self._write = write
        self._done = done
        self._keep = keep_seconds
        self._linger = linger_seconds
        self._log = log
        self._tell = tell
        self._now = world.monotonic
        self._told = -inf
        self._waiting: deque[tuple[float, Item]] = deque()
        self._taken: list[Item] = []
        self._changed = threading.Condition()
        world.start(self)

    def put(self, item: Item) -> list[Item]:
        """Add an item, never blocks; returns those that have waited for too long and are let go."""
        now, old = self._now(), []
        with self._changed:
            while self._waiting and self._waiting[0][0] < now - self._keep:
                old.append(self._waiting.popleft()[1])
            self._waiting.append((now, item))
            self._changed.notify()
        return old

    def run(self) -> None:
        """The thread: writes for ever, and ends the process when that can't go on."""
        attempt = tenacity.retry(
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            retry=tenacity.retry_if_not_exception_type(FatalError),
            before_sleep=self._report,
        )(self.attempt)
        try:
            attempt()
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting)
                    self._changed.wait_for(lambda: len(self._waiting) >= _MOST_ITEMS, self._linger)
                self.take()
                attempt()
                self.finish()
        except BaseException:
            # A bolt without its writer would take tuples and never finish one.
            self._log.exception("the writer stopped")
            os._exit(1)

    def take(self) -> list[Item]:
        """What is written next: whatever waits, up to the limit."""
        with self._changed:
            self._taken = [self._waiting.popleft()[1] for _ in range(min(_MOST_ITEMS, len(self._waiting)))]
        return self._taken

    def attempt(self) -> None:
        """Write what was taken; may be repeated until it does not raise."""
        self._write(self._taken)

    def finish(self) -> None:
        """What was taken is written."""
        self._done(self._taken)

    def _report(self, attempt: tenacity.RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        problem = f"{type(error).__name__}: {error}"
        self._log.warning("attempt %d failed: %s", attempt.attempt_number, problem)
        lasting = attempt.seconds_since_start or 0.0
        if lasting >= _LASTING_SECONDS and self._now() >= self._told + _TELL_SECONDS:
            self._told = self._now()
            self._tell(f"failing for {lasting:.0f} s, and tried again until it works: {problem}")
