"""Why of a group: its members out of the log of members, whatever is repeated, late or quiet, and who moved it most."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from test_why_core import Store, Topic, found_in
from typer.testing import CliRunner

from made import settings
from oda.cli import why as cli
from oda.cli.main import app
from oda.core.batch import Batch, Readings
from oda.core.groups.aggregates import Row, value_of
from oda.core.groups.definition import Definition
from oda.core.groups.merging import Merging
from oda.core.groups.moved import WINDOWS_BEFORE, Gathering, moved
from oda.core.groups.told import Mark, Member, Members, Progress, Told
from oda.core.kinds import Anomaly
from oda.core.rules.match import of_options
from oda.query import moved as query
from oda.query import why as read

TEN = Definition(4, 10, 5, "mean", 1)
NONE = Readings.of([], [])


def member(series: str, start: int, mean: float, at: int, definition: Definition = TEN) -> Member:
    return Member("group:g", series, start, 3, mean, 0.5, at, at, False, definition)


def progress(partition: int, position: int, time: int, is_quiet: bool = False) -> Progress:
    return Progress("oda", partition, 2, position, time, is_quiet)


def made_of(told: Sequence[Told]) -> dict[int, float]:
    """What the machine makes of a log: by start."""
    machine = Merging(settings())
    batch = Batch(0, 0, 0, 0, len(told), 0, 0, NONE, told=[Mark(at, one) for at, one in enumerate(told)])
    machine.apply(batch)
    return {row.time: row.value for row in machine.outputs(batch)["derived"]}


def log(aggregate: str, windows: int = 12) -> list[Told]:
    """Two partitions, three members each; one that is repeated, and one that comes too late for each window."""
    chance, definition, found = random.Random(3), msgspec.structs.replace(TEN, aggregate=aggregate), []
    for number in range(windows):
        start = 10 * number
        for partition in (0, 1):
            some = [
                member(f"{partition}/{one}", start, chance.gauss(5, 1) + 50 * (number == 9 and one == 1), start + one)
                for one in range(3)
            ]
            some = [msgspec.structs.replace(one, definition=definition) for one in some]
            found += [Members("oda", partition, some), progress(partition, start + 4, start + 12)]
            found.append(Members("oda", partition, some[1:]))
        late = msgspec.structs.replace(member("late", start - 20, 900.0, start + 5), definition=definition)
        found.append(Members("oda", 1, [late]))
    return found


def gathered(told: Sequence[Told], start: int, value: float) -> tuple[Gathering, bool]:
    gathering = Gathering("group:g", start, value)
    return gathering, any(gathering.take(one) for one in told)


@pytest.mark.parametrize("aggregate", ["mean", "sum", "maximum", "stddev", "quantile:0.5", "members", "readings"])
@pytest.mark.parametrize("begin", [0, 21])
def test_the_members_of_a_reading_are_found_wherever_one_begins_and_make_it_to_the_last_bit(aggregate, begin) -> None:
    told = log(aggregate)
    value = made_of(told)[90]
    gathering, is_done = gathered(told[begin:], 90, value)
    assert is_done
    assert {row.series for row in gathering.rows} == {f"{one}/{other}" for one in "01" for other in "012"}
    assert gathering.again == value
    assert len(gathering.before()) == min(WINDOWS_BEFORE, 9 - begin // 7)


def test_a_partition_that_was_quiet_before_is_not_waited_for_and_who_is_late_is_left_out() -> None:
    told = [one for one in log("mean", 30) if one.partition == 0]
    quiet: list[Told] = [progress(1, 0, -1, is_quiet=True)]
    late = Members("oda", 0, [member("late", 90, 700.0, 999)])
    at = next(at for at, one in enumerate(told) if isinstance(one, Progress) and one.time > 105)
    told = [*told[: at + 1], late, *told[at + 1 :]]
    value = made_of(quiet + told)[90]
    gathering, is_done = gathered(told, 90, value)
    assert is_done
    assert len(gathering.rows) == 3
    assert gathering.again == value


def test_another_reading_is_not_made_of_them() -> None:
    told = log("mean")
    gathering, is_done = gathered(told, 90, made_of(told)[90] + 1e-9)
    assert is_done
    assert gathering.again == made_of(told)[90]


def test_without_members_there_is_nothing() -> None:
    gathering, is_done = gathered(log("mean"), 900, 1.0)
    assert (gathering.rows, gathering.again, gathering.definition, is_done) == ([], None, None, False)


def rows(**means: float) -> list[Row]:
    return [Row(0, at, name, 4, mean, 0.0, mean > 100) for at, (name, mean) in enumerate(means.items())]


@pytest.mark.parametrize(
    ("aggregate", "now", "most"),
    [
        ("mean", {"a": 5.0, "b": 9.0, "c": 5.5}, [("b", 4 / 3), ("c", 0.5 / 3)]),
        ("sum", {"a": 5.0, "b": 9.0, "c": 4.0}, [("b", 4.0), ("c", -1.0)]),
        ("sum", {"a": 5.0, "b": 5.0}, [("c", -5.0)]),
        ("members", {"a": 5.0, "b": 5.0, "c": 5.0, "d": 5.0}, [("d", 1.0)]),
        ("maximum", {"a": 5.0, "b": 9.0, "c": 8.0}, [("b", 1.0)]),
        ("anomalous", {"a": 5.0, "b": 999.0, "c": 5.0}, [("b", 1 / 3)]),
        ("mean", {"a": 5.0, "b": 5.0, "c": 5.0}, []),
    ],
)
def test_each_member_is_held_against_what_it_did_before(aggregate, now, most) -> None:
    usual = [rows(a=4.0, b=5.0, c=5.0), rows(a=6.0, b=5.0, c=5.0)]
    found = moved(aggregate, rows(**now), usual)
    assert [one.series for one in found] == [name for name, _ in most]
    assert [one.by for one in found] == pytest.approx([by for _, by in most])


def test_without_windows_before_it_is_what_each_makes_up() -> None:
    assert [(one.series, one.by) for one in moved("sum", rows(a=2.0, b=7.0), [])] == [("b", 7.0), ("a", 2.0)]
    assert [one.by for one in moved("mean", rows(a=2.0), [])] == [2.0]


def test_of_a_large_group_those_whose_windows_changed_most_are_tried() -> None:
    count = 150_000
    usual = [Row(0, at, f"s{at}", 1, 5.0, 0.0, False) for at in range(count)]
    now = [*usual[:-1], Row(0, count, f"s{count - 1}", 1, 1e6, 0.0, False)]
    [one] = moved("sum", now, [usual])
    assert (one.series, value_of("sum", now, 0) - value_of("sum", usual, 0)) == (f"s{count - 1}", one.by)


def test_the_command_names_the_members_of_a_groups_anomaly(monkeypatch) -> None:
    rules = of_options(settings())
    anomalies, archived = found_in(rules)
    [*_, last] = anomalies

    def of_group(one: Anomaly) -> Anomaly:
        return msgspec.structs.replace(one, series="group:g")

    class Groups(Store):
        def archived(self, series: str, *span):
            assert series == "group:g"
            return super().archived("a", *span)

        def recent(self, kind, series, since, until):
            for document in super().recent(kind, "a", since, until):
                yield document | {"series": series}

    def at(time: int, *means: float) -> Members:
        whole = msgspec.structs.replace(TEN, size=100, lateness=0, aggregate="maximum")
        some = [
            member(name, time, mean, time + number, whole)
            for number, (name, mean) in enumerate(zip("\x1bb", means, strict=True))
        ]
        return Members("oda", 0, some)

    usual, now = at(last.time - 100, 10.0, 9.0), at(last.time, last.value, 9.0)
    told = [usual, now, progress(0, 20, last.time + 100), progress(1, 0, -1, is_quiet=True)]
    asked = []

    def told_since(_, group: str, time: int):
        asked.append((group, time))
        return iter(told)

    monkeypatch.setattr(cli, "CassandraStore", lambda _: Groups(anomalies, archived))
    monkeypatch.setattr(read, "RulesTopic", lambda _: Topic(rules))
    monkeypatch.setattr(query, "told_since", told_since)
    result = CliRunner().invoke(app, ["why", "group:g", str(last.time)])
    assert "maximum of 2 members" in result.stdout, result.output
    assert "moved most, against 1 windows before" in result.stdout
    assert f"{last.value - 10:+.6g}  \\x1b: mean" in result.stdout
    assert asked == [("group:g", last.time - 600_000)]
    assert "merged again from the log of members: equal to the last bit" in result.stdout
    assert result.exit_code == 0
    told[1] = at(last.time, last.value + 1e-9, 9.0)
    result = CliRunner().invoke(app, ["why", "group:g", str(last.time)])
    assert f"group: the reading is {last.value!r} in the store, {last.value + 1e-9!r} merged again" in result.stdout
    assert result.exit_code == 1
    told.clear()
    result = CliRunner().invoke(app, ["why", "group:g", str(last.time)])
    assert "has no member of the window" in result.stdout
    assert result.exit_code == 1
