"""Ctrl-C and SIGTERM end a run in order: what was struck is healed, and the topology killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


def end_at_sigterm() -> None:
    """SIGTERM ends the process as Ctrl-C does, through every `finally`; the exit code is a shell's, 143."""
    signal.signal(signal.SIGTERM, _leave)


@contextmanager
def deferred() -> Iterator[None]:
    """Both wait until this is over: half of a healing is none."""
    came: list[int] = []
    former = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
