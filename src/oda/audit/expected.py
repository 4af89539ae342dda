"""What one pass over the log gives: every row that the stores should hold, and nothing else.

Pure: it takes records, and knows nothing of where they were read.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oda.audit.members import Members
from oda.audit.message import (
    CLOCK_KEY,
    DERIVED_KEY,
    RULES_KEY,
    read_clock_record,
    read_derived_record,
    read_message,
    read_rule_record,
)
from oda.audit.reference import Reference
from oda.core.kinds import ANOMALIES, BANDS, INCIDENTS, OF_SERIES, WINDOWS, Document
from oda.core.reading import Reading
from oda.core.rules.parse import parsed
from oda.settings import Settings
from oda.stores.contract import Part
from oda.stores.place import SLOT_MS

_SKEW_MS = 3_600_000
"""By how much a sink's clock may be behind the broker's."""


class Record(Protocol):
    """What is needed of a Kafka record.

    `timestamp` is in epoch ms, the broker's if its type is 1, else the producer's; None in messages of Kafka 0.9.
    """

    offset: int
    timestamp: int | None
    timestamp_type: int | None
    key: bytes | None
    value: bytes | None


class Names:
    """Numbers series, so that a column can hold them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name, the same each time."""
        return self._numbers.setdefault(name, len(self._numbers))

    def name(self, number: int) -> str:
        return self.all()[number]

    def all(self) -> list[str]:
        """In the order of their numbers."""
        return list(self._numbers)


class Accepted:
    """Accepted readings of one partition as columns, ascending by offset; times in epoch ms."""

    def __init__(self) -> None:
        self.offsets = array("q")
        self.series = array("q")
        self.times = array("q")
        self.values = array("d")

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Offsets, series, times, values."""
        return (
            np.array(self.offsets, np.int64),
            np.array(self.series, np.int64),
            np.array(self.times, np.int64),
            np.array(self.values, np.float64),
        )


class Expected:
    """What the stores should hold of the audited part of a topic.

    Attributes:
        windows, anomalies, incidents, bands: as documents.
        readings: by partition.
        rejected: messages that are no readings, by (partition, offset).
        members: what groups are made of, and what came of it.

    Args:
        rules: the text of each version of the rules.
        references: by partition, what is known from a former pass, whose end the log is read from; none from its
            beginning.
    """

    def __init__(
        self, settings: Settings, rules: Mapping[int, str], references: dict[int, Reference] | None = None
    ) -> None:
        self.windows: list[Document] = []
        self.anomalies: list[Document] = []
        self.incidents: list[Document] = []
        self.bands: list[Document] = []
        self.readings: dict[int, Accepted] = {}
        self.rejected: dict[tuple[int, int], Document] = {}
        self.members = Members(settings.kafka.group)
        self.names = Names()
        self.references = {} if references is None else references
        self._settings = settings
        self._rules = rules

    def read(self, partition: int, records: Iterable[Record]) -> None:
        """Add one partition: the records of its audited part, from the first one on."""
        reference = self.references.setdefault(partition, Reference(self._settings))
        accepted = self.readings[partition] = Accepted()
        for record in records:
            if record.key == RULES_KEY:
                self._read_rules(partition, record, reference)
                continue
            clock = read_clock_record(record.value) if record.key == CLOCK_KEY else None
            if clock is not None:
                if clock.group == self._settings.kafka.group:
                    reference.read_clock(record.offset, clock)
                continue
            derived = read_derived_record(record.value) if record.key == DERIVED_KEY else None
            if derived is not None and derived.group != self._settings.kafka.group:
                continue
            if derived is not None:
                self.members.derived(partition, record.offset, derived.reading)
                self._accept(accepted, reference, record.offset, derived.reading)
                continue
            by_broker = record.timestamp_type == 1
            max_ahead = self._settings.readings.max_ahead_ms
            reading = read_message(record.value, record.timestamp or 0, max_ahead, by_broker)
            if reading is None or record.key in (CLOCK_KEY, DERIVED_KEY):
                self.rejected[partition, record.offset] = _rejected(record)
            else:
                self._accept(accepted, reference, record.offset, reading)
        self.members.expect(partition, reference)
        topic = self._settings.kafka.readings
        self.windows += (WINDOWS.document(topic, partition, row) for row in reference.windows)
        self.anomalies += (ANOMALIES.document(topic, partition, row) for row in reference.anomalies)
        self.incidents += (INCIDENTS.document(topic, partition, row) for row in reference.incidents)
        self.bands += (BANDS.document(topic, partition, row) for row in reference.bands)
        reference.forget()

    def _accept(self, accepted: Accepted, reference: Reference, offset: int, reading: Reading) -> None:
        reference.read(offset, reading)
        accepted.offsets.append(offset)
        accepted.series.append(self.names.number(reading.series))
        accepted.times.append(reading.time)
        accepted.values.append(reading.value)

    def _read_rules(self, partition: int, record: Record, reference: Reference) -> None:
        rules = read_rule_record(record.value)
        if rules is not None and rules.group != self._settings.kafka.group:
            return
        text = self._rules.get(rules.version) if rules else None
        if rules is None or text is None or sha256(text.encode()).hexdigest() != rules.sha256:
            self.rejected[partition, record.offset] = _rejected(record)
        elif rules.version > reference.version:
            reference.read_rules(record.offset, parsed(text, self._settings, rules.version))

    def part(self, came: int) -> Part:
        """Where in the stores that has to be: by its times, and by when the first record came, epoch ms."""
        slots: set[int] = set()
        for accepted in self.readings.values():
            slots.update(np.unique(accepted.columns()[2] // SLOT_MS).tolist())
        for kind in OF_SERIES:
            slots.update(row[kind.time] // SLOT_MS for row in getattr(self, kind.name))
        return Part(frozenset(slots), max(0, came - _SKEW_MS))

    def scattered(self) -> list[str]:
        """Series that are in several partitions, each with windows of its own there, in the order of the audit."""
        partitions = Counter(number for accepted in self.readings.values() for number in set(accepted.series))
        return [name for number, name in enumerate(self.names.all()) if partitions[number] > 1]


def _rejected(record: Record) -> Document:
    key, value = (part if part is None else part[: 1024 * 1024] for part in (record.key, record.value))
    # kafka-python refuses to send a message that has neither key nor value: it becomes an empty value.
    return {"key": key, "value": b"" if key is None and value is None else value, "has a reason": True}
