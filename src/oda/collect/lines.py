"""Readings from the lines of a stream, such as stdin. A pipe can wait: a full spool holds its writer up."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator

from oda.collect.check import MAX_LENGTH
from oda.collect.elements import numbered, unmarked
from oda.collect.intake import Intake
from oda.collect.late import Late
from oda.collect.spool import SpoolError
from oda.core.reading import RejectedError
from oda.errors import UserError
from oda.say import say

CHUNK = 2**18
"""Bytes read at once, at most; the lines among them become durable together."""

RETRY = 0.5
"""How often a full spool is tried again, seconds."""

Read = Callable[[int], bytes]
"""Up to so many bytes of what has come, waiting for some; none at the end."""


def stdin() -> Read:
    """What reads stdin. Raises UserError, then or later, when it is closed or can't be read."""
    if sys.stdin is None:
        raise UserError("stdin is closed: there is nothing to read")
    descriptor = sys.stdin.fileno()

    def read(size: int) -> bytes:
        while True:
            try:
                return os.read(descriptor, size)
            except BlockingIOError:  # whoever shares the terminal or the pipe with us has made it so
                select.select([descriptor], [], [])
            except OSError as error:
                raise UserError(f"stdin can't be read: {error.strerror}") from None

    return read


def collect_lines(read: Read, intake: Intake, late: Late) -> None:
    """Take every line until the end of the stream; one that is no reading is reported with its number.

    Args:
        read: the stream.
        intake: takes the readings.
        late: takes note of them.

    Raises:
        UserError: the stream is UTF-16.
    """
    number = 1
    for lines in lists_of_lines(read):
        if number == 1:
            _check_encoding(lines[0])
        checked = intake.check(numbered(lines, number))
        for rejection in checked.rejected:
            say(f"line {rejection.number}: rejected: {rejection.reason}")
        if checked.readings:
            _append_when_room(intake, checked.messages)
        for reading in checked.readings:
            late.add(reading)
        number += len(lines)


def _check_encoding(beginning: bytes) -> None:
    try:
        unmarked(beginning)
    except RejectedError as error:
        raise UserError(str(error)) from None


def _append_when_room(intake: Intake, messages: list[bytes]) -> None:
    while True:
        try:
            return intake.append(messages)
        except SpoolError:
            time.sleep(RETRY)


def lists_of_lines(read: Read) -> Iterator[list[bytes]]:
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
