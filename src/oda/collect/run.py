"""The loop of every collector: each reading when it is due, into Kafka, until the source or the time ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import inf

from rich.console import Console
from rich.live import Live
from rich.text import Text

from oda.collect.producer import Producer
from oda.core.reading import Reading, encode

PROGRESS = 10.0
"""How often a line of progress is printed where there is no terminal, seconds."""

LONGEST_SLEEP = 60.0
"""Seconds; then the clock is asked again, which may have been set meanwhile."""


def collect(scheduled: Iterable[tuple[float, Reading]], producer: Producer, seconds: float | None = None) -> None:
    """Send each reading once it is due, wait for Kafka to have them all, and print how many it has.

    A reading that is overdue, because Kafka held the source up, is sent at once: it is late, not lost.

    Args:
        scheduled: due time (epoch ms) and reading, in order.
        producer: is closed at the end.
        seconds: stop after this time.

    Raises:
        UserError: as the producer does.
        KeyboardInterrupt: at Ctrl-C and SIGTERM, after the same orderly end.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    deadline = inf if seconds is None else time.time() + seconds
    try:
        pause = _Pause()
        with progress(lambda: f"{producer.sent} readings sent, {producer.acknowledged} acknowledged{pause}"), producer:
            for due, reading in scheduled:
                pause.until(min(due / 1000, deadline))
                if time.time() >= deadline:
                    break
                producer.send(encode(reading), reading.series.encode())
    finally:
        print(f"{producer.acknowledged} of {producer.sent} readings acknowledged by Kafka", flush=True)


class _Pause:
    """The wait for the next reading; as text, how long it will be."""

    def __init__(self) -> None:
        self._end = 0.0

    def until(self, end: float) -> None:
        """Return at `end`, epoch seconds."""
        self._end = end
        while (wait := end - time.time()) > 0:
            time.sleep(min(wait, LONGEST_SLEEP))

    def __str__(self) -> str:
        wait = round(self._end - time.time())
        return f"; the next is due in {timedelta(seconds=wait)}" if wait > 0 else ""


@contextmanager
def progress(describe: Callable[[], str]) -> Iterator[None]:
    """Show `describe()` on stderr meanwhile: in place on a terminal, else as a line now and then."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Live(get_renderable=lambda: Text(describe()), console=console, refresh_per_second=4, transient=True):
            yield
        return
    over = threading.Event()

    def lines() -> None:
        while not over.wait(PROGRESS):
            console.print(describe(), highlight=False, soft_wrap=True)

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
