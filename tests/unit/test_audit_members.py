"""The audit of the log of members finds each thing that may be wrong with it, and nothing where all is right."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from made import settings
from oda.audit.members import Members
from oda.audit.reference import Reference
from oda.audit.second import groups_compared
from oda.audit.sources import Positions
from oda.core.groups import derived
from oda.core.groups.telling import Said, Telling
from oda.core.groups.told import Member
from oda.core.reading import Reading
from oda.core.rules.parse import parsed

RULES = """rules: []
groups: [{name: g, members: "s*", aggregate: sum, window: {size: 2s, lateness: 0s}}]
"""


class Record:
    def __init__(self, offset: int, value: bytes, key: bytes | None = None) -> None:
        self.offset, self.value, self.key = offset, value, key


def reference(windows: int = 1) -> Reference:
    """Of two series whose first windows closed."""
    found = Reference(settings())
    found.read_rules(0, parsed(RULES, settings(), 1))
    for number in range(2 * windows + 2):
        time = 2000 * (number // 2) + number % 2
        found.read(number + 1, Reading(f"s{number % 2 + 1}", time, float(number + 1)))
    return found


def log_of_members(windows: int = 1) -> list[bytes]:
    """What is right: of each window both members, then progress by which the group's is over."""
    members = [
        Member(
            one.group,
            one.window.series,
            one.window.start,
            one.window.count,
            one.window.mean,
            one.window.stddev,
            one.window.first_offset,
            one.window.closed_at,
            one.is_anomalous,
            one.definition,
        )
        for one in reference(windows).members
    ]
    telling, values = Telling("oda", 1), []
    for number in range(windows):
        start, end = 2 * number + 3 if number else 0, 2 * number + 5
        said = [Said(0, start, end, 0, 2000 * number + 2001, members[2 * number : 2 * number + 2])]
        values += [value for _, value in telling.members(said) + telling.progress(said, 1)]
    return values


def faults(values: list[bytes], derived: list[Reading]) -> tuple[Any, ...]:
    """Missing, extra, different: of members, then of derived readings."""
    found = Members("oda")
    found.expect(0, reference())
    for offset, reading in enumerate(derived):
        found.derived(0, offset, reading)
    found.read(0, [Record(offset, value) for offset, value in enumerate(values)])
    return tuple((one.missing, one.extra, one.different) for one in found.compared())


RIGHT = Reading("group:g", 0, 3.0)
NONE = (0, 0, 0)


def changed(value: bytes, **fields: Any) -> bytes:
    return msgspec.json.encode(json.loads(value) | fields)


def test_what_is_right_has_no_faults_whatever_is_repeated():
    members, progress = log_of_members()
    assert faults([members, progress], [RIGHT]) == (NONE, NONE)
    assert faults([members, members, progress, members, progress], [RIGHT, RIGHT]) == (NONE, NONE)


def test_what_is_wrong_with_members_is_found():
    members, progress = log_of_members()
    rows = json.loads(members)["members"]
    assert faults([changed(members, members=rows[:1]), progress], [Reading("group:g", 0, 1.0)]) == ((1, 0, 0), NONE)
    other = [rows[0], [*rows[1][:4], 7.0, *rows[1][5:]]]
    assert faults([changed(members, members=other), progress], [Reading("group:g", 0, 8.0)]) == ((0, 0, 1), NONE)
    more = [*rows, [*rows[1][:6], 77, *rows[1][7:]]]
    assert faults([changed(members, members=more), progress], [RIGHT])[0] == (0, 1, 0)
    assert faults([members, b"?", progress], [RIGHT]) == ((0, 1, 0), NONE)


def test_progress_that_was_told_too_early_is_found():
    members, progress = log_of_members()
    assert faults([progress, members, progress], [RIGHT])[0] == (0, 0, 2)


@pytest.mark.parametrize(
    ("derived", "found"),
    [
        ([], (1, 0, 0)),
        ([Reading("group:g", 0, 3.0000000000000004)], (0, 0, 1)),
        ([RIGHT, Reading("group:g", 2000, 1.0)], (0, 1, 0)),
        ([RIGHT, Reading("group:h", 0, 1.0)], (0, 1, 0)),
    ],
)
def test_readings_that_members_did_not_make_are_found(derived, found):
    assert faults(log_of_members(), derived) == (NONE, found)


class Living:
    """The logs of a system that closes a window more between any two questions of how far it is."""

    def __init__(self, windows: int) -> None:
        self._members = [Record(offset, value) for offset, value in enumerate(log_of_members(windows))]
        sums = [(2000 * number, 4.0 * number + 3) for number in range(windows)]
        made = [derived.encode("oda", "group:g", time, value) for time, value in sums]
        self._readings = [Record(offset, value, derived.KEY) for offset, value in enumerate(made)]
        self._closed = 0

    def positions(self, topic: str = "") -> Positions:
        self._closed += 1
        end = 2 * self._closed if topic else self._closed
        return Positions({0: end}, {0: end}, {})

    def records(self, _: int, start: int, end: int, topic: str = "") -> list[Record]:
        return (self._members if topic else self._readings)[start:end]


def test_a_system_that_goes_on_while_it_is_audited_is_right():
    members = Members("oda")
    members.expect(0, reference())
    log: Any = Living(3)
    expected: Any = SimpleNamespace(members=members)
    for found in groups_compared(settings(), log, expected, {0: 0}):
        assert (found.faults, found.found > 0) == (0, True), found


def test_a_group_in_two_partitions_of_the_readings_is_found():
    found = Members("oda")
    found.derived(0, 1, RIGHT)
    found.derived(1, 1, RIGHT)
    assert found.compared()[1].extra == 2  # in the other partition, and made by no members
