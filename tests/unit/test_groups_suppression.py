"""Which incidents those of groups suppress: worked out of rules and incidents alone."""

from __future__ import annotations

import asyncio

import pytest
from test_serve import System, asked, client_of
from test_verdicts import change

from made import settings
from oda.core.groups.suppression import Suppression
from oda.core.kinds import Incident
from oda.core.rules.parse import parse
from oda.core.rules.shown import shown
from oda.query.incidents import Incidents
from oda.query.rules import RulesInLog

FILE = """rules: []
groups:
  - {name: "{rack}", members: "rack/{rack}/*", aggregate: mean, window: {size: 10s, lateness: 5s}, suppresses: true}
  - {name: all, members: "group:?", aggregate: anomalous, window: {size: 10s, lateness: 40s}%s}
"""
RULES = parse(FILE % ", suppresses: true", settings(), 3)
ONE = parse(FILE.partition("  - {name: all")[0], settings(), 2)


def incident(series: str, since: int, until: int | None = None, offset: int = 1) -> Incident:
    what, number = ("opened", 0) if until is None else ("resolved", 1)
    row = change(series, time=since, offset=offset, what=what, number=number).row
    return Incident(*(until if name == "changed" and until else getattr(row, name) for name in row.__struct_fields__))


MEMBER = "rack/7/pump"


@pytest.mark.parametrize(
    ("of_group", "of_member", "is_suppressed"),
    [
        ((50_000, None), (48_000, None), True),  # open when it opens
        ((50_000, None), (60_000, None), True),  # opened while it lasts
        ((50_000, None), (40_000, 49_000), False),  # over before
        ((50_000, None), (40_000, 51_000), True),
        ((50_000, 90_000), (48_000, 80_000), True),
        ((50_000, 90_000), (48_000, 104_000), True),  # the group's reading is known 15 s later
        ((50_000, 90_000), (48_000, 106_000), False),  # it outlives it
        ((50_000, 90_000), (48_000, None), False),
        ((50_000, 90_000), (106_000, 107_000), False),
    ],
)
def test_what_overlaps_and_does_not_outlive_the_groups_is_suppressed(of_group, of_member, is_suppressed) -> None:
    found = Suppression(ONE, [incident("group:7", *of_group), incident("group:8", 0)])
    assert found.by(incident(MEMBER, *of_member)) == ("group:7" if is_suppressed else None)


def test_members_of_members_are_suppressed_and_the_group_that_takes_the_others_is_named() -> None:
    both = Suppression(RULES, [incident("group:7", 5), incident("group:all", 5)])
    assert both.by(incident(MEMBER, 5)) == "group:all"
    assert both.by(incident("group:7", 5)) == "group:all"
    assert both.by(incident("group:all", 5)) is None
    assert Suppression(RULES, [incident("group:7", 5)]).by(incident(MEMBER, 5)) == "group:7"


def test_a_group_that_does_not_say_so_suppresses_nothing() -> None:
    quiet = parse(FILE % "", settings())
    found = Suppression(quiet, [incident("group:all", 5)])
    assert (found.by(incident("group:7", 5)), found.by(incident(MEMBER, 5))) == (None, None)
    assert [membership.group for membership in quiet.suppressors(MEMBER)] == ["group:7"]


def test_rules_that_are_shown_say_it_too() -> None:
    again = parse(shown(RULES), settings(), 3)
    assert again.groups == RULES.groups
    assert [group.suppresses for group in again.groups] == [True, True]


def test_what_is_listed_follows_incidents_and_rules() -> None:
    book = Incidents()
    for series, offset in ((MEMBER, 1), ("group:7", 2), ("pump", 3)):
        book.take(change(series, offset=offset))

    def told(with_suppressed: bool = False) -> dict[str, str | None]:
        return {one.newest.series: one.suppressed_by for one in book.find("all", "", "", "", with_suppressed)}

    assert len(told()) == 3, "without rules nothing is"
    book.follow(RULES)
    assert told() == {"group:7": None, "pump": None}
    assert told(True)[MEMBER] == "group:7"
    assert book.suppressed() == 1
    assert book.get("readings:3:1:sigma/1").suppressed_by == "group:7"
    book.take(change("group:7", offset=2, number=1, what="resolved"))
    assert told() == {"group:7": None, "pump": None, MEMBER: None}, "it lasts beyond the group's"
    book.take(change("group:7", offset=9))
    assert MEMBER not in told()
    book.follow(ONE)
    assert MEMBER not in told()
    book.follow(parse("rules: []", settings()))
    assert told()[MEMBER] is None


def test_the_api_names_the_members_of_a_group() -> None:
    async def scene() -> None:
        system = System()
        system.service.rules._known = RulesInLog(RULES)
        async with client_of(system) as client:
            system.hear_readings(MEMBER, "rack/7/fan", "rack/8/fan", "pump", "group:7")
            found = await asked(client, "/api/members", name="group:7", limit=1)
            assert found == {"total": 2, "members": ["rack/7/fan"]}
            assert (await asked(client, "/api/members", name="group:all"))["members"] == ["group:7"]
            assert (await asked(client, "/api/members", name="pump"))["total"] == 0

    asyncio.run(scene())


def test_the_api_hides_them_unless_asked_and_says_how_many() -> None:
    async def scene() -> None:
        system = System()
        system.service.rules._known = RulesInLog(RULES)
        async with client_of(system) as client:
            system.service.live.incidents.follow(RULES)  # as it does every few seconds
            system.hear(incidents=[change(MEMBER, offset=1), change("group:7", offset=2)])
            found = await asked(client, "/api/incidents")
            assert (found["total"], found["suppressed"]) == (1, 1)
            found = await asked(client, "/api/incidents", suppressed="shown", q="rack")
            (one,) = found["incidents"]
            assert one["suppressed_by"] == "group:7"
            await asked(client, "/api/incidents", 400, suppressed="maybe")
            async with client.get("/metrics") as answer:
                assert "oda_suppressed_incidents 1.0" in await answer.text()

    asyncio.run(scene())
