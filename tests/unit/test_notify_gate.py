"""What an incident of a group suppresses is not told, whatever comes in which order, and whenever `oda notify` dies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from made import settings
from notifications import change
from oda.core.rules.parse import parse
from oda.notify.gate import Gate
from oda.notify.incident import IncidentChange
from oda.notify.mailbox import Mailbox

RULES = parse(
    "rules: []\n"
    'groups: [{name: "{rack}", members: "{rack}/*", aggregate: mean, window: {size: 1s, lateness: 1s}, '
    "suppresses: true}]",
    settings(),
    4,
)
NONE = parse("rules: []", settings(), 5)
MEMBERS, GROUPS = TopicPartition("oda.incidents", 0), TopicPartition("oda.incidents", 1)
WAIT = 3_000
LONG = 2_000 + 10_000


def of_member(number: int = 0, offset: int = 1, **changed: object) -> IncidentChange:
    return change(number, series=f"r/{offset}", offset=offset, **changed)


def of_group(number: int = 0, offset: int = 90, **changed: object) -> IncidentChange:
    return change(number, series="group:r", offset=offset, **changed)


class Run:
    """One run of `oda notify` for a receiver; `now` is the time of its clock and of Kafka, ms."""

    def __init__(self, wait: int | None = WAIT, is_for=lambda _: True, now: int = 0) -> None:
        self.now = now
        self.mailbox = Mailbox(is_for)
        self.gate = Gate(self.mailbox, wait, lambda: self.now)
        self.gate.follow(RULES)
        self.places: dict[TopicPartition, int] = {MEMBERS: 0, GROUPS: 0}

    def take(self, *changes: IncidentChange) -> None:
        for one in changes:
            part = GROUPS if one.row.series.startswith("group:") else MEMBERS
            self.gate.take(one, part, self.places[part], self.now)
            self.places[part] += 1

    def told(self, after: int = 0) -> list[tuple[str, str]]:
        """Let time pass, and tell what is due: series and change."""
        self.now += after
        self.gate.release()
        found = []
        for due in self.mailbox.due(100):
            self.mailbox.done(due)
            found.append((due.now.names["series"], due.now.change))
        return found


def test_a_members_incident_waits_for_its_groups_and_is_not_told_while_that_lasts() -> None:
    run = Run()
    run.take(of_member())
    assert run.told(WAIT - 1_000) == []
    run.take(of_group(), of_member(offset=2))
    assert run.told() == [("group:r", "opened")]
    assert run.told(10 * WAIT) == []
    assert run.gate.suppressed == 2
    run.take(of_member(1, offset=2))
    assert run.told(WAIT) == []
    assert run.gate.suppressed == 2, "an incident counts once"


def test_what_lasts_beyond_the_groups_is_told_then_and_what_is_resolved_before_never() -> None:
    run = Run()
    run.take(of_group(), of_member(), of_member(offset=2))
    assert run.told(10 * WAIT) == [("group:r", "opened")]
    run.take(of_member(2, offset=2))
    run.take(of_group(2))
    assert run.told() == [("group:r", "resolved"), ("r/1", "opened")]
    run.take(of_member(2))
    assert run.told() == [("r/1", "resolved")]
    assert run.told(10 * WAIT) == []


def test_without_an_incident_of_the_group_it_is_told_after_the_wait_and_others_at_once() -> None:
    run = Run(wait=None)
    run.take(of_member(), change(series="elsewhere", offset=5))
    assert run.told() == [("elsewhere", "opened")]
    assert run.told(LONG) == []
    assert run.told(2_000) == [("r/1", "opened")]
    run.take(of_group(), of_member(1))
    assert run.told() == [("group:r", "opened"), ("r/1", "escalated")], "who was told is told what becomes of it"


def test_with_a_wait_of_nothing_what_the_group_has_already_is_suppressed() -> None:
    run = Run(wait=0)
    run.take(of_group(), of_member())
    assert run.told(LONG) == [("group:r", "opened")]


def test_who_is_not_told_of_the_groups_is_told_of_its_members() -> None:
    run = Run(is_for=lambda notification: notification.severity == "critical")
    run.take(of_group(), of_member(severity="critical"))
    assert run.told(LONG) == [("r/1", "opened")]
    run.take(of_group(1, severity="critical"), of_member(offset=2, severity="critical"))
    assert run.told(LONG) == [("group:r", "escalated")]


def test_what_waits_for_a_receiver_that_is_away_is_suppressed_and_told_if_it_lasts() -> None:
    run = Run()
    run.take(of_member())
    run.now += LONG
    run.gate.release()
    assert run.mailbox.waiting == 1
    run.take(of_group())
    assert run.told() == [("group:r", "opened")]
    assert run.gate.committable(run.places) == {MEMBERS: 0, GROUPS: 1}, "a later run could not find it"
    run.take(of_group(2))
    assert run.told() == [("group:r", "resolved"), ("r/1", "opened")]
    assert run.gate.committable(run.places) == run.places


def test_what_is_suppressed_holds_no_offset_back_until_it_is_to_be_told() -> None:
    run = Run()
    run.take(of_member())
    run.told(1_000)
    assert run.gate.committable(run.places) == {MEMBERS: 0, GROUPS: 0}
    run.take(of_group())
    run.told()
    assert run.gate.committable(run.places) == {MEMBERS: 1, GROUPS: 1}
    run.take(of_group(2))
    run.gate.release()
    assert run.gate.committable(run.places) == {MEMBERS: 1, GROUPS: 1}
    assert run.told(WAIT + 2_000) == [("group:r", "resolved"), ("r/1", "opened")]
    assert run.gate.committable(run.places) == {MEMBERS: 1, GROUPS: 2}


def test_other_rules_let_go_what_is_held() -> None:
    run = Run()
    run.take(of_group(), of_member())
    assert run.told(LONG) == [("group:r", "opened")]
    run.gate.follow(NONE)
    assert run.told() == [("r/1", "opened")]


def test_more_that_waits_than_fits_is_not_read() -> None:
    run = Run()
    run.take(*(of_member(offset=offset) for offset in range(10_000)))
    assert run.gate.is_full
    run.now += LONG
    assert not run.gate.is_full
    run.take(of_group())
    run.gate.release()
    assert not run.gate.is_full, "what is suppressed must not keep it from reading that the group's is over"


@pytest.mark.parametrize(("since", "is_held"), [(WAIT, True), (WAIT + 1, False)])
def test_a_later_run_knows_by_kafkas_times_of_what_the_former_was_silent(since: int, is_held: bool) -> None:
    run = Run(now=1_000_000)
    for one, time in ((of_member(), 0), (of_group(), since), (of_member(1), since + 5)):
        run.gate.know(one, time)
    run.gate.begin()
    run.take(of_member(2))
    assert run.told() == ([] if is_held else [("r/1", "resolved")])


def test_a_later_run_is_silent_as_the_former_was_from_the_beginning() -> None:
    run = Run(now=1_000_000)
    for one, time in ((of_member(), 0), (of_group(), 1_000)):
        run.gate.know(one, time)
    run.gate.begin()
    assert run.told(LONG) == []
    run.take(of_group(2))
    assert run.told() == [("group:r", "resolved"), ("r/1", "opened")]


def test_a_later_run_knows_that_it_was_told_between_two_incidents_of_the_group() -> None:
    run = Run(now=1_000_000)
    again = {"offset": 95}
    for one, time in ((of_group(), 0), (of_member(), 5), (of_group(2), 60_000), (of_group(0, **again), 70_000)):
        run.gate.know(one, time)
    run.gate.begin()
    run.take(of_member(1))
    assert run.told() == [("r/1", "escalated")]


Step = tuple[str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["member", "member", "group", "read", "read", "tell", "commit", "die", "away"]),
        st.integers(0, 3),
    ),
    max_size=70,
)


class World:
    """The topic, of two partitions, and one receiver's runs over it."""

    def __init__(self) -> None:
        self.now = 0
        self.log: dict[TopicPartition, list[tuple[IncidentChange, int]]] = {MEMBERS: [], GROUPS: []}
        self.numbers: dict[int, int] = {}
        self.committed = {MEMBERS: 0, GROUPS: 0}
        self.heard: dict[str, IncidentChange] = {}
        self.begin()

    def begin(self) -> None:
        self.run = Run(now=self.now)
        self.at = dict(self.committed)
        for part, records in self.log.items():
            for one, time in records[: self.at[part]]:
                self.run.gate.know(one, time)
        self.run.gate.begin()

    def write(self, offset: int) -> None:
        """The next change of an incident; when it is over another one of the series begins."""
        number = self.numbers.get(offset, -1) + 1
        one = (of_group if offset >= 90 else of_member)(number, offset=offset, time=0, changed=self.now)
        self.log[GROUPS if offset >= 90 else MEMBERS].append((one, self.now))
        self.numbers[offset] = number

    def read(self, count: int = 99) -> None:
        for part, records in self.log.items():
            for one, time in records[self.at[part] : self.at[part] + count]:
                self.run.gate.take(one, part, self.at[part], time)
                self.at[part] += 1

    def tell(self) -> None:
        self.run.now = self.now
        self.run.gate.release()
        for due in self.run.mailbox.due(99):
            assert isinstance(due.now, IncidentChange)
            if due.now.row.series != "group:r" and due.now.place not in self.heard:
                assert not self.is_open(), "a member's incident is told while that of its group lasts"
            self.heard[due.now.place] = due.now
            self.run.mailbox.done(due)

    def is_open(self) -> bool:
        """Whether the group has an incident, as far as the log was read."""
        read = {one.place: one for one, _ in self.log[GROUPS][: self.at[GROUPS]]}
        return any(one.change != "resolved" for one in read.values())


@given(steps)
def test_whatever_happens_what_lasts_without_the_groups_is_told_and_nothing_while_it_lasts(found: list[Step]) -> None:
    world = World()
    for step, which in found:
        world.now += 700
        if step == "member" and world.numbers.get(which, -1) < 2:
            world.write(which)
        elif step == "group":
            current = max((one for one in world.numbers if one >= 90), default=90)
            world.write(current + 1 if world.numbers.get(current, -1) == 2 else current)
        elif step == "read":
            world.read(which)
        elif step == "tell":
            world.read()  # it does each time before it tells
            world.tell()
        elif step == "commit":
            world.committed = world.run.gate.committable(world.at)
        elif step == "die":
            world.begin()
        elif step == "away":
            world.now += 20_000
    if (current := max((one for one in world.numbers if one >= 90), default=0)) and world.numbers[current] < 2:
        world.numbers[current] = 1
        world.write(current)
    world.read()
    for _ in range(3):
        world.now += LONG + WAIT
        world.tell()
    for offset, number in world.numbers.items():
        place = f"readings:1:{offset}:sigma/1"
        if offset >= 90 or number < 2 or place in world.heard or not any(one >= 90 for one in world.numbers):
            assert world.heard[place].number == number, "the last that was heard is the newest change"
    assert world.run.gate.committable(world.at) == world.at
