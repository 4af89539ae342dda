"""Time, chance and threads as spout and bolts know them: a simulation gives them others."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Work(Protocol):
    """What is done beside a component's own thread."""

    def run(self) -> None:
        """Does not return."""


def _in_thread(work: Work) -> None:
    threading.Thread(target=work.run, daemon=True).start()


@dataclass(frozen=True)
class World:
    """What a component asks instead of the modules themselves.

    Attributes:
        monotonic: seconds; only goes forward.
        wall: seconds since 1970, as the machine is set.
        sleep: for so many seconds.
        start: begins work.
        draw: a number that nobody else has drawn, of 62 bits.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    start: Callable[[Work], None] = _in_thread
    draw: Callable[[], int] = lambda: secrets.randbits(62)


WORLD = World()
"""The real one."""
