"""What one pass over a simulated log gives, by the audit's second implementation."""

from __future__ import annotations

from typing import Any

from oda.audit.message import CLOCK_KEY, read_clock_record, read_message
from oda.audit.reference import Reference
from oda.core.kinds import KINDS, Rejected
from oda.settings import Settings
from sim.stores import BrokenPromiseError, Place
from sim.topic import Record


class Expected:
    """What the stores should hold of the whole log.

    Attributes:
        rows: by kind, then by place in the log.
        is_closed: whether every window has closed.
    """

    def __init__(self, settings: Settings, log: dict[int, list[Record]]) -> None:
        self.rows: dict[str, dict[Place, Any]] = {kind: {} for kind in ("readings", *KINDS)}
        self.is_closed = True
        for partition, records in log.items():
            self._read(settings, partition, records)

    def _read(self, settings: Settings, partition: int, records: list[Record]) -> None:
        reference = Reference(settings.window, settings.judge)
        for record in records:
            found = read_clock_record(record.value) if record.key == CLOCK_KEY else None
            if found is not None:
                if found.group == settings.kafka.group:
                    reference.read_clock(record.offset, found)
                continue
            reading = read_message(record.value, record.timestamp, settings.readings.max_ahead_ms, True)
            if reading is None or record.key == CLOCK_KEY:
                self.rows["rejected"]["rejected", partition, record.offset] = record.key, record.value
                continue
            reference.read(record.offset, reading)
            self.rows["readings"]["readings", partition, record.offset] = tuple(reading)
        self.rows["windows"] |= {("windows", partition, row.first_offset): row for row in reference.windows}
        self.rows["anomalies"] |= {
            ("anomalies", partition, row.offset, row.detector): row for row in reference.anomalies
        }
        self.is_closed &= not any(series.open for series in reference._series.values())

    def compare(self, store: str, kinds: set[str], found: dict[Place, Any]) -> None:
        """Raises BrokenPromiseError unless a store of these kinds holds just what it should."""
        wanted = {place: row for kind in sorted(kinds) for place, row in self.rows[kind].items()}
        for place in sorted(wanted.keys() | found.keys()):
            is_, should = found.get(place), wanted.get(place)
            if isinstance(is_, Rejected):
                is_ = is_.key, is_.value
            if is_ != should:
                raise BrokenPromiseError(f"{store}: {place} is {is_}, and should be {should}")
