"""The log of members against that of readings: all that should be there is, and nothing else; and what comes of it.

The log of readings alone can't tell who was late. So the log of members is read as it is, each member must be one that
the log of readings has, none may lack before what was told of progress, and what groups make of it must be in the log
of readings, each reading once, in order, whatever was repeated.

Pure: it takes records, and knows nothing of where they were read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from math import inf
from typing import Protocol

from oda.audit.comparison import Comparison
from oda.audit.groups import Groups, Member, Told, read_told
from oda.audit.reference import Reference
from oda.core.reading import Reading

Identity = tuple[str, int, int]
"""Group, partition of the readings, first offset."""


class Record(Protocol):
    """What is needed of a Kafka record."""

    offset: int
    value: bytes | None


class Members:
    """Both logs of one consumer group.

    Attributes:
        late: members that came too late.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._expected: dict[Identity, Member] = {}
        self._found: dict[Identity, tuple[int, Member]] = {}
        self._ahead: dict[int, int] = {}
        """How many members each partition of the log of members has had, while it is read."""
        self._numbers: dict[Identity, int] = {}
        """Which of them each was."""
        self._told: dict[tuple[int, int], list[tuple[int, int]]] = {}
        """By both partitions: the position that was told, the largest so far, and how many members stood before it."""
        self._required: dict[str, int] = {}
        """How many readings of a group are there for sure, as what they follow from is committed."""
        self._groups: dict[int, Groups] = {}
        self._derived: dict[str, list[Reading]] = {}
        self._places: dict[str, int] = {}
        self._members = Comparison("Kafka", "members")
        self._readings = Comparison("Kafka", "derived")

    @property
    def late(self) -> int:
        return sum(groups.late for groups in self._groups.values())

    @property
    def has_made_any(self) -> bool:
        """Whether there should be any reading of a group."""
        return any(groups.derived for groups in self._groups.values())

    @property
    def is_open(self) -> bool:
        """Whether a window has not closed, or what one made is not in the log of readings."""
        made = sum(len(one) for groups in self._groups.values() for one in groups.derived.values())
        return any(groups.is_open for groups in self._groups.values()) or made > sum(map(len, self._derived.values()))

    def expect(self, partition: int, reference: Reference) -> None:
        """What a partition of the readings gives, as the reference has read it."""
        for group, window, is_anomalous, definition in reference.members:
            self._expected[group, partition, window.first_offset] = Member(
                group,
                window.series,
                window.start,
                window.count,
                window.mean,
                window.stddev,
                window.first_offset,
                window.closed_at,
                is_anomalous,
                definition.rules,
                definition.size,
                definition.lateness,
                definition.aggregate,
                definition.least,
            )

    def derived(self, partition: int, offset: int, reading: Reading) -> None:
        """A derived reading in the log of readings; offsets of a partition ascend."""
        name, time, _ = reading
        if self._places.setdefault(name, partition) != partition:
            self._readings.add("extra", 1, [f"{partition}:{offset}: {name} is in partition {self._places[name]}, too"])
            return
        known = self._derived.setdefault(name, [])
        if not known or time > known[-1].time:
            known.append(reading)

    def read(self, number: int, records: Iterable[Record], committed: float = inf) -> None:
        """A partition of the log of members, from its beginning to its end, and how much of that is committed."""
        groups = self._groups[number] = Groups()
        for record in records:
            if record.offset < committed:
                self._required |= {name: len(readings) for name, readings in groups.derived.items()}
            told = read_told(record.value)
            if told is None:
                self._members.add("extra", 1, [f"{number}:{record.offset}: is no member, and tells no progress"])
            elif told.group == self._group:
                groups.read(told)
                self._note(number, record.offset, told)
        if committed == inf:
            self._required |= {name: len(readings) for name, readings in groups.derived.items()}

    def _note(self, number: int, offset: int, told: Told) -> None:
        for member in told.members:
            identity = member.group, told.partition, member.first_offset
            place, former = self._found.setdefault(identity, (number, member))
            if place != number or former != member:
                self._members.add("different", 1, [f"{number}:{offset}: {member} was {former} in partition {place}"])
            if identity not in self._numbers:
                self._numbers[identity] = self._ahead.get(number, 0)
                self._ahead[number] = self._numbers[identity] + 1
        if told.position >= 0:
            known = self._told.setdefault((number, told.partition), [])
            if not known or told.position > known[-1][0]:
                known.append((told.position, self._ahead.get(number, 0)))

    def compared(self, ends: Mapping[int, int] | None = None) -> list[Comparison]:
        """What is wrong with members, and with the readings that groups made of them.

        Args:
            ends: up to where each partition of the readings was read for `expect`; all of them to the end if not given.
        """
        members, readings = self._members, self._readings
        members.expected, members.found = len(self._expected), len(self._found)
        for identity, expected in self._expected.items():
            if identity not in self._found:
                members.add("missing", 1, [f"{identity}: {expected}"])
        for identity, (number, member) in self._found.items():
            wanted = self._expected.get(identity)
            if wanted is None:
                if ends is None or member.closed_at < ends.get(identity[1], 0):
                    members.add("extra", 1, [f"{identity}: {member}"])
            elif wanted != member:
                members.add("different", 1, [f"{identity}: is {member}, expected {wanted}"])
            elif self._is_behind(number, identity, member):
                members.add("different", 1, [f"{identity}: stands behind progress that was told beyond it"])
        for groups in self._groups.values():
            for name, made in groups.derived.items():
                self._compare(name, made)
        for name in self._derived.keys() - {name for groups in self._groups.values() for name in groups.derived}:
            readings.add("extra", len(self._derived[name]), [f"{name}: {self._derived[name][0]}"])
        return [members, readings]

    def _is_behind(self, number: int, identity: Identity, member: Member) -> bool:
        """Whether more progress was told, before it came first, than is true."""
        told = self._told.get((number, identity[1]), [])
        first = bisect_right(told, member.closed_at, key=lambda one: one[0])
        return first < len(told) and told[first][1] <= self._numbers[identity]

    def _compare(self, name: str, made: list[Reading]) -> None:
        """A group's readings: what is there is the beginning of what its members made, to the last bit."""
        result, found = self._readings, self._derived.get(name, [])
        result.expected += self._required.get(name, 0)
        result.found += len(found)
        for is_, should in zip(found, made, strict=False):
            if is_ != should:
                result.add("different", 1, [f"{name}: is {is_}, expected {should}"])
        missing, extra = made[len(found) : self._required.get(name, 0)], found[len(made) :]
        result.add("missing", len(missing), map(str, missing))
        result.add("extra", len(extra), map(str, extra))
