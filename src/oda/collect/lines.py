"""Readings from the lines of a stream, such as stdin. A pipe can wait: a full spool holds its writer up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from oda.collect.check import MAX_LENGTH
from oda.collect.intake import Intake, say
from oda.collect.spool import SpoolError

CHUNK = 2**18
"""Bytes read at once, at most; the lines among them become durable together."""

RETRY = 0.5
"""How often a full spool is tried again, seconds."""


def collect_lines(read: Callable[[int], bytes], intake: Intake) -> None:
    """Take every line until the end of the stream; one that is no reading is reported with its number.

    Args:
        read: up to so many bytes of what has come, waiting for some; none at the end.
        intake: takes the readings.
    """
    number = 1
    for lines in lists_of_lines(read):
        checked = intake.check((n, line) for n, line in enumerate(lines, number) if line.strip())
        for rejection in checked.rejected:
            say(f"line {rejection.number}: rejected: {rejection.reason}")
        if checked.messages:
            _append_when_room(intake, checked.messages)
        number += len(lines)


def _append_when_room(intake: Intake, messages: list[bytes]) -> None:
    while True:
        try:
            return intake.append(messages)
        except SpoolError:
            time.sleep(RETRY)


def lists_of_lines(read: Callable[[int], bytes]) -> Iterator[list[bytes]]:
    """The lines that each read completes; of a line that is too long, one byte more than is allowed.

    >>> chunks = [b"one\\ntw", b"o\\nthr", b"ee", b""]
    >>> list(lists_of_lines(lambda _: chunks.pop(0)))
    [[b'one'], [b'two'], [b'three']]
    """
    rest = b""
    while chunk := read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: MAX_LENGTH + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]
