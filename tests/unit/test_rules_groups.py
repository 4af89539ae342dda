"""Groups in a file of rules: what they are for, what is refused and where, and how they are shown."""

import pytest

from made import settings
from oda.core.groups.names import Naming
from oda.core.rules.parse import parse
from oda.core.rules.problem import RulesError
from oda.core.rules.shown import shown

SETTINGS = settings()

FILE = """rules: []
groups:
  - name: "{site}/power"
    members: site/{site}/pump-*/power
    aggregate: mean
    window: {size: 10s, lateness: 1s}
    least: 2
  - {name: all, members: "group:*/power", aggregate: {quantile: 0.9}}
"""


def test_a_series_belongs_to_the_group_that_its_name_leads_to():
    rules = parse(FILE, SETTINGS, 7)
    (membership,) = rules.memberships("site/berlin/pump-7/power")
    assert membership.group == "group:berlin/power"
    assert membership.definition.rules == 7
    assert (membership.definition.size, membership.definition.lateness, membership.definition.least) == (
        10_000,
        1_000,
        2,
    )
    assert [one.group for one in rules.memberships("group:berlin/power")] == ["group:all"]
    assert rules.memberships("group:all") == rules.memberships("site/a/b/pump-7/power") == ()


def test_a_group_of_groups_waits_longer_than_what_it_takes():
    low, high = (group.definition for group in parse(FILE, SETTINGS).groups)
    assert high.lateness > low.lateness + low.size


def test_who_missed_versions_takes_it_that_there_were_groups():
    """Simulated: in a partition that came when there were no groups any more nobody said so, and none was closed."""
    none = "rules: []"
    first, second = (parse(none, SETTINGS, version) for version in (1, 2))
    assert not first.may_have_had_groups(parse(none, SETTINGS))
    assert not second.may_have_had_groups(first)
    assert second.may_have_had_groups(parse(none, SETTINGS))
    assert parse(FILE, SETTINGS, 1).may_have_had_groups(parse(none, SETTINGS))


def test_a_long_name_leads_to_no_group():
    assert Naming("{a}", "x/{a}").group("b" * 249) is None


def test_what_is_shown_says_the_same():
    rules = parse(FILE, SETTINGS)
    again = parse(shown(rules), SETTINGS)
    assert again.groups == rules.groups
    assert shown(again) == shown(rules)


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ('{name: a, members: "group:*", aggregate: sum}', "3:13: groups[0].members: takes the group itself"),
        ('{name: "{b}", members: "x", aggregate: sum}', "3:4: groups[0].name: members captures no {b}"),
        ('{name: "a", members: "{b}{b}", aggregate: sum}', "3:15: groups[0].members: captures one name twice"),
        ('{name: "group:a", members: "x", aggregate: sum}', "3:4: groups[0].name: the series is called group:NAME"),
        ('{name: "a*", members: "x", aggregate: sum}', "3:4: groups[0].name: String should match"),
        ('{name: "a", members: "x"}', "3:3: groups[0].aggregate: is missing"),
        ('{name: "a", members: "x", aggregate: {quantile: 2}}', "3:41: groups[0].aggregate.quantile: Input should be"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(groups, problem):
    with pytest.raises(RulesError) as raised:
        parse(f"rules: []\ngroups:\n- {groups}\n", SETTINGS)
    assert str(raised.value).startswith(problem)


def test_a_cycle_of_two_is_refused_at_both():
    groups = (f'- {{name: {name}, members: "group:{other}", aggregate: sum}}' for name, other in ("ab", "ba"))
    text = "\n".join(("rules: []", "groups:", *groups))
    with pytest.raises(RulesError) as raised:
        parse(text, SETTINGS)
    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == ["3", "4"]
