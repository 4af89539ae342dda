"""What one pass over a simulated log gives, by the audit's second implementation."""

from __future__ import annotations

from typing import Any

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
from oda.core.kinds import KINDS, Rejected
from oda.core.rules.parse import parsed
from oda.settings import Settings
from sim.stores import BrokenPromiseError, Place
from sim.topic import Record


class Expected:
    """What the stores should hold of the whole log.

    Attributes:
        rows: by kind, then by place in the log.
        is_closed: whether every window has closed.
    """

    def __init__(
        self,
        settings: Settings,
        log: dict[int, list[Record]],
        rules: dict[int, str],
        members: dict[int, list[Record]],
    ) -> None:
        self.rows: dict[str, dict[Place, Any]] = {kind: {} for kind in ("readings", *KINDS)}
        self.is_closed = True
        self.groups = Members(settings.kafka.group)
        for partition, records in log.items():
            self._read(settings, partition, records, rules)
        for partition, records in members.items():
            self.groups.read(partition, records)
        self.is_closed &= not self.groups.is_open

    def _read(self, settings: Settings, partition: int, records: list[Record], rules: dict[int, str]) -> None:
        reference = Reference(settings)
        for record in records:
            if record.key == RULES_KEY:
                version = read_rule_record(record.value).version
                reference.read_rules(record.offset, parsed(rules[version], settings, version))
                continue
            found = read_clock_record(record.value) if record.key == CLOCK_KEY else None
            if found is not None:
                if found.group == settings.kafka.group:
                    reference.read_clock(record.offset, found)
                continue
            if record.key == DERIVED_KEY:
                found_here = read_derived_record(record.value)
                assert found_here is not None
                reference.read(record.offset, found_here.reading)
                self.rows["readings"]["readings", partition, record.offset] = tuple(found_here.reading)
                self.groups.derived(partition, record.offset, found_here.reading)
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
        self.rows["incidents"] |= {
            ("incidents", partition, row.offset, row.detector, row.number): row for row in reference.incidents
        }
        self.rows["bands"] |= {
            ("bands", partition, row.since, row.first_offset, row.detector): row for row in reference.bands
        }
        self.is_closed &= not reference.is_open
        self.groups.expect(partition, reference)

    def compare_groups(self) -> None:
        """Raises BrokenPromiseError unless members are in their log, and what they make is in that of readings."""
        for result in self.groups.compared():
            if result.faults:
                raise BrokenPromiseError(f"groups: {result.rows}: {result.examples}")

    def compare(self, store: str, kinds: set[str], found: dict[Place, Any]) -> None:
        """Raises BrokenPromiseError unless a store of these kinds holds just what it should."""
        wanted = {place: row for kind in sorted(kinds & self.rows.keys()) for place, row in self.rows[kind].items()}
        for place in sorted(wanted.keys() | found.keys()):
            is_, should = found.get(place), wanted.get(place)
            if isinstance(is_, Rejected):
                is_ = is_.key, is_.value
            if is_ != should:
                raise BrokenPromiseError(f"{store}: {place} is {is_}, and should be {should}")
