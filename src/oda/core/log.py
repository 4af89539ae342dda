"""What records of the log mean: readings, clock records of our group, and what is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from oda.core import clock
from oda.core.batch import ClockMark, Readings
from oda.core.decoding import decode_all
from oda.core.reading import RejectedError


class Record(Protocol):
    """What is needed of a Kafka record; `timestamp` in epoch ms, of the broker's clock if `by_broker`."""

    offset: int
    timestamp: int
    by_broker: bool
    key: bytes | None
    value: bytes | None


class Meaning(NamedTuple):
    """Of some records; `rejected` has the reason for each that is neither, by its index among them."""

    readings: Readings
    marks: list[ClockMark]
    rejected: dict[int, str]


def read(records: Sequence[Record], group: str, max_ahead: int) -> Meaning:
    """Tell records apart; those of another group's clock mean nothing.

    Args:
        records: of one partition, in the order of the log.
        group: ours.
        max_ahead: how far a reading's time may be ahead of when it came, ms.
    """
    clocks = [number for number, record in enumerate(records) if record.key == clock.KEY]
    plain = sorted(set(range(len(records))).difference(clocks)) if clocks else range(len(records))
    messages = [records[number] for number in plain]
    readings, reasons = decode_all(
        [record.offset for record in messages],
        [record.timestamp for record in messages],
        [record.by_broker for record in messages],
        [record.value for record in messages],
        max_ahead,
    )
    meaning = Meaning(readings, [], {plain[number]: reason for number, reason in reasons.items()})
    for number in clocks:
        try:
            found = clock.decode(records[number].value)
        except RejectedError as error:
            meaning.rejected[number] = str(error)
        else:
            if found.group == group:
                meaning.marks.append(ClockMark(records[number].offset, found.position, found.through, found.ended))
    return meaning
