"""What to tell of a log that is not as it should be, and the way out."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from kafka import TopicPartition

HELD_UP_SECONDS = 60.0
"""An open transaction is worth a word when it holds a partition up for longer."""

_WAY_OUT = "Start anew beside them: docs/upgrades.md"


def made_anew(topic: str, was: uuid.UUID, now: uuid.UUID) -> str:
    """The topic has another id than the one that the stored results are of."""
    return (
        f"topic {topic} was deleted and made again since (its id was {was}, it is {now}): offsets start anew, "
        f"and the results stored so far are of the old one. {_WAY_OUT}"
    )


def lost_its_end(topic: str, partition: int, position: int) -> str:
    """The log ends, or is another one, before a position up to which it was read."""
    return (
        f"topic {topic}, partition {partition} lost its end: it was read up to offset {position}, and ends, or is "
        f"another log, before that now. The results stored so far are of the old one. {_WAY_OUT}"
    )


def held_up(topic: str, partition: int, offset: int) -> str:
    """The partition's end can't be read yet."""
    return (
        f"topic {topic}, partition {partition}: what follows offset {offset} waits for an open transaction, which "
        "its producer has neither committed nor aborted (kafka-transactions.sh find-hanging tells whose it is)"
    )


class HeldUp:
    """Tells of partitions that an open transaction holds up, of each once in `HELD_UP_SECONDS`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._stood: dict[TopicPartition, tuple[int, float]] = {}

    def look(self, part: TopicPartition, end: int, highwater: int, now: float) -> None:
        """Take note of a partition at `now` (seconds): it can be read to `end`, and is written to `highwater`."""
        at, since = self._stood.get(part, (-1, now))
        if at == end and highwater > end:
            if now < since + HELD_UP_SECONDS:
                return
            self._tell(held_up(part.topic, part.partition, end))
        self._stood[part] = end, now
