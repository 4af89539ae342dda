"""Incidents by example, and the core against the audit's twin on whatever may happen."""

from __future__ import annotations

import doctest
from collections import Counter
from typing import Literal, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oda.audit import incidents as twin
from oda.core.incidents import Event, Policy, Tracked, advance, resolve
from oda.core.kinds import Anomaly, Incident

MINUTE = 60_000
LABELS = '{"site":"berlin"}'


def anomaly(offset: int, time: int, score: float = 50.0, value: float = 9.0) -> Anomaly:
    return Anomaly("pump", time, offset, value, 1.0, 0.5, 7, 0, "sigma/1", score, 1.0, -1.0, 3.0, offset, 7)


def at(offset: int, time: int, score: float = 0.0, value: float = 9.0) -> Event:
    """A reading; an anomaly if it has a score."""
    return Event(offset, time, [anomaly(offset, time, score, value)] if score else [])


def run(policy: Policy, *events: Event, state: Tracked | None = None) -> list[Incident]:
    return advance(Tracked() if state is None else state, policy, "warning", LABELS, 7, events)


def told(changes: list[Incident]) -> list[tuple[str, int]]:
    return [(row.change, row.found_at) for row in changes]


# -- by example --------------------------------------------------------------------------------------


def test_the_docstrings_example() -> None:
    assert doctest.testmod(twin).failed == 0


def test_one_anomaly_opens_and_the_first_reading_after_quiet_time_resolves() -> None:
    policy = Policy(quiet_ms=MINUTE)
    events = [at(0, 0), at(1, 1000, 50.0), at(2, 1000 + MINUTE - 1), at(3, 1000 + MINUTE), at(4, 9 * MINUTE)]
    opened, resolved = run(policy, *events)
    assert opened == Incident(
        series="pump", time=1000, offset=1, detector="sigma/1", number=0, change="opened", cause="data",
        severity="warning", changed=1000, found_at=1, count=1, last_time=1000, worst_time=1000, worst_value=9.0,
        worst_score=50.0, expected=1.0, low=-1.0, high=3.0, labels=LABELS, rules=7,
    )  # fmt: skip
    assert resolved == msgspec.structs.replace(opened, number=1, change="resolved", changed=1000 + MINUTE, found_at=3)


def test_n_of_m_readings_open() -> None:
    policy = Policy(anomalies=3, of=5)
    near = [at(n, n, 50.0 * (n in (1, 3, 5))) for n in range(8)]
    (opened,) = run(policy, *near)
    assert (opened.offset, opened.time, opened.found_at, opened.count) == (1, 1, 5, 3)
    far = [at(n, n, 50.0 * (n in (1, 3, 6))) for n in range(8)]
    assert run(policy, *far) == []


def test_more_anomalies_keep_it_open_and_the_worst_is_kept() -> None:
    policy = Policy(quiet_ms=10)
    scores = {0: 50.0, 8: 100.0, 16: 100.0, 24: 60.0}
    values = {8: 20.0, 16: 30.0}  # of scores that are as high as can be the furthest is the worst
    events = [at(n, n, scores.get(n, 0.0), values.get(n, 9.0)) for n in range(40)]
    opened, resolved = run(policy, *events)
    assert (opened.worst_score, opened.worst_time) == (50.0, 0)
    assert (resolved.count, resolved.last_time, resolved.found_at) == (4, 24, 34)
    assert (resolved.worst_score, resolved.worst_value, resolved.worst_time) == (100.0, 30.0, 16)


def test_an_anomaly_after_quiet_time_is_of_another_incident() -> None:
    changes = run(Policy(quiet_ms=10), at(0, 0, 50.0), at(1, 10, 50.0))
    assert told(changes) == [("opened", 0), ("resolved", 1), ("opened", 1)]
    assert [row.offset for row in changes] == [0, 0, 1]


def test_it_escalates_once() -> None:
    policy = Policy(quiet_ms=10, escalate_anomalies=2, escalate_to="critical")
    changes = run(policy, *(at(n, n, 50.0) for n in range(5)), at(5, 100))
    assert [(row.number, row.change, row.severity) for row in changes] == [
        (0, "opened", "warning"),
        (1, "escalated", "critical"),
        (2, "resolved", "critical"),
    ]
    assert [row.count for row in changes] == [1, 2, 5]


@pytest.mark.parametrize(("policy", "second"), [(Policy(), 3), (Policy(rest_readings=5), 5), (Policy(rest_ms=700), 7)])
def test_none_opens_in_the_rest_of_the_one_before(policy: Policy, second: int) -> None:
    policy = Policy(quiet_ms=200, rest_readings=policy.rest_readings, rest_ms=policy.rest_ms)
    state = Tracked()
    run(policy, at(0, 0, 50.0), at(1, 100), at(2, 200), state=state)
    changes = run(policy, *(at(n, 100 * n, 50.0) for n in range(3, 9)), state=state)
    assert told(changes) == [("opened", second)]
    assert changes[0].offset == second  # what was found in the rest is of no incident


def test_a_series_that_falls_silent_is_resolved_when_it_has_been_quiet_by_the_clock() -> None:
    policy = Policy(quiet_ms=MINUTE)
    events = [at(0, 0, 50.0), at(1, 500, 50.0), at(2, 900)]
    silent = [Event(3, None, [], 500 + MINUTE - 1), Event(4, None, [], 500 + MINUTE), Event(5, None, [], 9 * MINUTE)]
    changes = run(policy, *events, *silent)
    assert told(changes) == [("opened", 0), ("resolved", 4)]
    assert (changes[1].cause, changes[1].changed, changes[1].last_time) == ("clock", 900, 500)


def test_what_is_wrong_with_a_silent_series_is_not_over_while_it_is_silent() -> None:
    policy = Policy(quiet_ms=MINUTE)
    silence = [Event(1, None, [anomaly(0, 0)], 1000), Event(2, None, [], 9 * MINUTE)]
    assert told(run(policy, *silence)) == [("opened", 1)]
    assert told(run(policy, *silence, at(3, 500), Event(4, None, [], 10 * MINUTE))) == [("opened", 1)]
    assert told(run(policy, *silence, at(3, 9 * MINUTE))) == [("opened", 1), ("resolved", 3)]
    again = [*silence, at(3, 500, 50.0), Event(4, None, [], 500 + MINUTE)]
    assert told(run(policy, *again)) == [("opened", 1), ("resolved", 4)]


def test_a_series_that_ends_is_resolved_by_the_clock() -> None:
    state = Tracked()
    run(Policy(), at(0, 0, 50.0), at(1, 500), at(2, 400), state=state)
    (resolved,) = resolve(state, 9, "clock", version=8)
    assert (resolved.number, resolved.change, resolved.cause) == (1, "resolved", "clock")
    assert (resolved.changed, resolved.found_at, resolved.rules) == (500, 9, 8)
    assert state == Tracked()
    assert resolve(state, 10, "clock", version=8) == []


def test_what_the_clock_finds_opens_too_and_is_no_reading() -> None:
    policy = Policy(anomalies=2, of=1)  # both at one reading, which a clock record is not
    changes = run(policy, at(3, 500, 50.0), Event(4, None, [anomaly(1, 200)]))
    (opened,) = changes
    assert (opened.cause, opened.changed, opened.found_at, opened.last_time) == ("clock", 500, 4, 500)


def test_a_window_found_wrong_is_heard_of_when_it_closes() -> None:
    """Or an incident of long windows would be over with the next reading."""
    policy = Policy(quiet_ms=10 * MINUTE)
    found = [Event(5, 60 * MINUTE, [anomaly(1, 0)]), Event(6, 65 * MINUTE, [anomaly(2, 30 * MINUTE)])]
    changes = run(policy, *found, at(7, 74 * MINUTE), at(8, 75 * MINUTE))
    assert told(changes) == [("opened", 5), ("resolved", 8)]
    assert changes[-1].last_time == 30 * MINUTE


def test_a_series_without_anomalies_has_no_state() -> None:
    policy, state = Policy(anomalies=2, of=3, quiet_ms=10), Tracked()
    run(policy, at(0, 10), at(1, 20), state=state)
    assert state == Tracked()
    run(policy, at(2, 30, 50.0), at(3, 40), at(4, 50), state=state)
    assert state != Tracked()
    run(policy, at(5, 60), state=state)
    assert state == Tracked()


# -- whatever may happen -----------------------------------------------------------------------------


class Silence(NamedTuple):
    """The series ended, or has other rules."""

    offset: int
    cause: Literal["clock", "rules"]


Happening = Event | Silence

POLICIES = st.builds(
    Policy,
    anomalies=st.integers(1, 3),
    of=st.integers(1, 4),
    quiet_ms=st.integers(0, 20),
    rest_readings=st.integers(0, 6),
    rest_ms=st.integers(0, 30),
    escalate_anomalies=st.integers(0, 4),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Happening]:
    found: list[Happening] = []
    now = 0
    for offset in range(10, 10 + draw(st.integers(0, 30))):
        now += draw(st.sampled_from([0, 1, 1, 5, 25]))
        what = draw(st.sampled_from(["reading"] * 8 + ["clock"] * 3 + ["ended", "rules"]))
        if what in ("ended", "rules"):
            found.append(Silence(offset, "clock" if what == "ended" else "rules"))
            continue
        time = max(0, now - draw(st.sampled_from([0, 0, 0, 2, 30])))
        lags = draw(st.lists(st.sampled_from([0, 0, 4, 15]), max_size=draw(st.sampled_from([0, 1, 1, 3]))))
        anomalies = [
            anomaly(
                10 * offset + number,
                max(0, time - lag),
                draw(st.sampled_from([40.0, 99.0, 100.0])),
                draw(st.sampled_from([-9.0, 5.0, 11.0])),
            )
            for number, lag in enumerate(lags)
        ]
        until = time + draw(st.sampled_from([0, 1, 20, 100]))
        found.append(Event(offset, time, anomalies) if what == "reading" else Event(offset, None, anomalies, until))
    return found


def by_core(
    policy: Policy, log: list[Happening], cuts: set[int] | None = None, later: tuple[int, Policy] | None = None
) -> list[Incident]:
    """All in as few calls as can be, or cut there, where the state goes through a snapshot.

    `later` is another policy, and from where on that holds.
    """
    state, changes = Tracked(), []
    events: list[Event] = []

    def flush() -> None:
        changes.extend(advance(state, policy, "warning", LABELS, 7, events))
        events.clear()

    for number, one in enumerate(log):
        if cuts is not None and number in cuts:
            flush()
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Tracked)
        if later and number == later[0]:
            flush()
            policy = later[1]
        if isinstance(one, Silence):
            flush()
            changes += resolve(state, one.offset, one.cause, 7)
        else:
            events.append(one)
    flush()
    return changes


@settings(max_examples=200, deadline=None)
@given(POLICIES, logs(), st.tuples(st.integers(0, 30), POLICIES))
@example(Policy(2, 5), [at(0, 0, 50.0), at(1, 1), at(2, 2), Event(3, None, [anomaly(1, 2)])], (3, Policy(2, 2)))
def test_the_twin_says_the_same(policy: Policy, log: list[Happening], later: tuple[int, Policy]) -> None:
    other = twin.Incidents(policy, "warning", LABELS, 7)
    for number, one in enumerate(log):
        if number == later[0]:
            other.policy = later[1]
        if isinstance(one, Silence):
            other.end(one.offset, one.cause)
        elif one.time is None:
            other.read_clock(one.offset, one.silent_until, list(one.anomalies))
        else:
            other.read(one.offset, one.time, list(one.anomalies))
    assert by_core(policy, log, later=later) == other.changes


@given(POLICIES, logs(), st.sets(st.integers(0, 30)))
@example(Policy(anomalies=2, of=3), [at(0, 0, 50.0), at(1, 1), at(2, 2, 50.0)], {1, 2})
def test_cuts_and_snapshots_change_nothing(policy: Policy, log: list[Happening], cuts: set[int]) -> None:
    assert by_core(policy, log, cuts) == by_core(policy, log)


@given(POLICIES, logs())
def test_readings_without_anomalies_need_not_be_told_while_nothing_is_known(
    policy: Policy, log: list[Happening]
) -> None:
    state, changes, told = Tracked(), [], 0
    for one in log:
        if isinstance(one, Silence):
            changes += resolve(state, one.offset, one.cause, 7)
        elif one.anomalies or state != Tracked():
            told += 1
            changes += advance(state, policy, "warning", LABELS, 7, [one])
    assert changes == by_core(policy, log)


@given(POLICIES, logs())
def test_what_holds_of_all_incidents(policy: Policy, log: list[Happening]) -> None:
    changes = by_core(policy, log)
    identities = Counter((row.offset, row.detector, row.number) for row in changes)
    assert all(count == 1 for count in identities.values())
    assert [row.found_at for row in changes] == sorted(row.found_at for row in changes)
    open_: Incident | None = None
    for row in changes:
        if open_ is None:
            assert (row.change, row.number, row.count >= policy.anomalies) == ("opened", 0, True)
        else:
            assert (row.time, row.offset, row.number) == (open_.time, open_.offset, open_.number + 1)
            assert (row.count, row.worst_score) >= (open_.count, open_.worst_score)
            assert row.change != "opened"
        open_ = None if row.change == "resolved" else row
    found = sum(len(one.anomalies) for one in log if isinstance(one, Event))
    assert sum(row.count for row in changes if row.change == "resolved") <= found
