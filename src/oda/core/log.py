"""What records of the log mean: readings, derived ones, clock and rule records of our group, and what is neither."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from oda.core import clock, rulemark
from oda.core.batch import ClockMark, Readings, RuleMark
from oda.core.decoding import decode_all
from oda.core.groups import derived
from oda.core.groups.told import Mark
from oda.core.reading import Reading, RejectedError
from oda.core.rules.match import digest


class Record(Protocol):
    """What is needed of a Kafka record; `timestamp` in epoch ms, of the broker's clock if `by_broker`."""

    offset: int
    timestamp: int
    by_broker: bool
    key: bytes | None
    value: bytes | None


class Meaning(NamedTuple):
    """Of some records; `rejected` has the reason for each that is none of these, by its index among them."""

    readings: Readings
    marks: list[ClockMark]
    rules: list[RuleMark]
    rejected: dict[int, str]
    told: Sequence[Mark] = ()


NOTHING = Meaning(Readings.of([], []), [], [], {})
"""Of no records."""

_KEYS = (clock.KEY, rulemark.KEY, derived.KEY)


def read(records: Sequence[Record], group: str, max_ahead: int, text_of: Callable[[int], str]) -> Meaning:
    """Tell records apart; those of another group's clock, or rules, mean nothing.

    Args:
        records: of one partition, in the order of the log.
        group: ours.
        max_ahead: how far a reading's time may be ahead of when it came, ms.
        text_of: the text of a version of the rules; raises LookupError if there is none.
    """
    special = [number for number, record in enumerate(records) if record.key in _KEYS]
    plain = sorted(set(range(len(records))).difference(special)) if special else range(len(records))
    messages = [records[number] for number in plain]
    readings, reasons = decode_all(
        [record.offset for record in messages],
        [record.timestamp for record in messages],
        [record.by_broker for record in messages],
        [record.value for record in messages],
        max_ahead,
    )
    meaning = Meaning(readings, [], [], {plain[number]: reason for number, reason in reasons.items()})
    groups_own: dict[int, Reading] = {}
    for number in special:
        try:
            if records[number].key == clock.KEY:
                _read_clock(records[number], group, meaning.marks)
            elif records[number].key == derived.KEY:
                _read_derived(records[number], group, groups_own)
            else:
                _read_rules(records[number], group, meaning.rules, text_of)
        except RejectedError as error:
            meaning.rejected[number] = str(error)
    if groups_own:
        both = Readings.joined([readings, Readings.of(list(groups_own), list(groups_own.values()))])
        return meaning._replace(readings=both.where(np.argsort(both.offsets)))
    return meaning


def _read_clock(record: Record, group: str, marks: list[ClockMark]) -> None:
    found = clock.decode(record.value)
    if found.group == group:
        marks.append(ClockMark(record.offset, found.position, found.through, found.ended))


def _read_derived(record: Record, group: str, readings: dict[int, Reading]) -> None:
    found = derived.decode(record.value)
    if found.group == group:
        readings[record.offset] = Reading(found.series, found.time, found.value)


def _read_rules(record: Record, group: str, marks: list[RuleMark], text_of: Callable[[int], str]) -> None:
    found = rulemark.decode(record.value)
    if found.group != group:
        return
    try:
        text = text_of(found.version)
    except LookupError:
        text = ""
    if digest(text) != found.sha256 or not text:
        # In the same words whether the version is there or not: the one that is written later has another hash.
        raise RejectedError(f"there are no rules of version {found.version} with the SHA-256 {found.sha256}")
    # One that is not beyond the one before changes nothing, and repeated ones would make the batch large.
    if not marks or found.version > marks[-1].version:
        marks.append(RuleMark(record.offset, found.version, text))
