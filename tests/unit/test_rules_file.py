"""Rules: what a file says, what a series gets, and what is told of a file that is wrong."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field
from ruamel.yaml import YAML

from oda.core.detectors import contract
from oda.core.detectors.sigma import Sigma, SigmaParameters
from oda.core.incidents import Policy
from oda.core.rules import parse as parsing
from oda.core.rules.file import MOST_DETECTORS, Watch, schema
from oda.core.rules.match import digest, of_options
from oda.core.rules.parse import MOST_BYTES, parse
from oda.core.rules.pattern import Pattern
from oda.core.rules.problem import RulesError
from oda.core.rules.rule import Rule, WindowRule, rule_of_options
from oda.core.rules.shown import shown
from oda.settings import Settings

OPTIONS = {
    "oda.kafka.brokers": "a:1",
    "oda.cassandra.hosts": "a:1",
    "oda.elasticsearch.urls": "http://a:1",
    "oda.window.size_ms": 3000,
    "oda.window.lateness_ms": 100,
    "oda.judge.sigmas": 5,
}
SETTINGS = Settings.from_options(OPTIONS)

FULL = """\
# What the pumps need.
rules:
  - series: "pump-*/power"
    window: {size: 60s, lateness: 5s, idle: 30s}
    detectors:
      - use: sigma          # the newest
        sigmas: 3
        as: spikes
        direction: high
        least: {absolute: 0.5, relative: 0.02}
        severity: info
        incident: {open: {anomalies: 3, of: 5}, quiet: 10m, rest: {time: 10m}, escalate: {anomalies: 50, to: critical}}
      - {use: 'sigma/1', min_count: 9}
    severity: critical
    direction: low
    incident: {rest: {readings: 120}}
    lead: 10m
    labels: {site: berlin, hall: "3"}
  - series: {regex: "pump-[0-9]+/.*"}
    window: each
  - series: tank
    window: {size: 250}
"""


def one(text: str) -> Rule:
    (entry,) = parse(f"rules: [{{series: a, {text}}}]", SETTINGS).entries
    return entry.rule


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as error:
        parse(text, SETTINGS)
    return str(error.value).splitlines()


# -- what a file says -----------------------------------------------------------------------------------


def test_a_file_says_all_that_a_series_gets() -> None:
    rules = parse(FULL, SETTINGS, version=7)
    found = rules.of("pump-7/power")
    assert found.window == WindowRule(60_000, 5_000, 30_000)
    assert (found.lead_ms, found.labels) == (600_000, (("hall", "3"), ("site", "berlin")))
    spikes, other = found.detectors
    assert (spikes.name, spikes.detector) == ("spikes", Sigma(SigmaParameters(sigmas=3)))
    assert (spikes.direction, spikes.least_absolute, spikes.least_relative) == ("high", 0.5, 0.02)
    assert (spikes.severity, spikes.incident) == ("info", Policy(3, 5, 600_000, 0, 600_000, 50, "critical"))
    assert (other.name, other.detector) == ("sigma/1", Sigma(SigmaParameters(min_count=9)))
    assert (other.direction, other.least_absolute, other.least_relative) == ("low", 0.0, 0.0)
    assert (other.severity, other.incident) == ("critical", Policy(1, 1, 600_000, 120))
    assert rules.version == 7


def test_the_topologys_options_hold_where_a_file_says_nothing() -> None:
    rules = parse(FULL, SETTINGS)
    default = rule_of_options(SETTINGS)
    assert default.window == WindowRule(3000, 100, 5000)
    assert [watch.detector for watch in default.detectors] == [Sigma(SigmaParameters(sigmas=5))]
    assert rules.of("elsewhere") is rules.default
    assert rules.default == default == of_options(SETTINGS).of("anything")
    assert rules.of("tank") == Rule(WindowRule(250, 100, 5000), default.detectors)
    assert rules.of("pump-7/flow") == Rule(None, default.detectors)
    assert parse("rules: []", SETTINGS).of("tank") == default


def test_rules_that_say_the_same_are_equal_and_have_one_hash() -> None:
    rules, again = parse(FULL, SETTINGS), parse(FULL.replace("60s", "1m"), SETTINGS, 3)
    assert rules.entries == again.entries
    assert len({entry.rule for entry in (*rules.entries, *again.entries)}) == len(rules.entries)


def test_the_first_rule_counts() -> None:
    given = enumerate(["a?", "ab", "c", "*", "d"], start=1)
    text = json.dumps({"rules": [{"series": glob, "lead": number} for number, glob in given]})
    rules = parse(text, SETTINGS)
    assert [rules.of(name).lead_ms for name in ("ab", "c", "d", "a\nb")] == [1, 3, 4, 4]
    assert [rules.number(name) for name in ("ab", "c", "d")] == [0, 2, 3]
    assert rules.of("ab") is rules.of("ab")


def test_a_text_keeps_the_version_of_each_detector() -> None:
    rules = parse(FULL, SETTINGS)
    assert rules.text == FULL.replace("use: sigma ", 'use: "sigma/1" ')
    assert parse(rules.text, SETTINGS).text == rules.text
    assert rules.sha256 == digest(rules.text) != parse("rules: []", SETTINGS).sha256


def test_rules_are_shown_as_a_file_that_says_the_same_to_anyone() -> None:
    rules = parse(FULL, SETTINGS)
    other = Settings.from_options(OPTIONS | {"oda.window.size_ms": 1, "oda.judge.min_count": 7})
    again = parse(shown(rules), other)
    assert again.entries == rules.entries
    assert shown(again) == shown(rules)


@given(st.lists(st.sampled_from("ab*?[]!-^\n\\.é"), min_size=1).map("".join), st.text("ab\n-é", max_size=9))
def test_a_glob_is_that_of_pythons_fnmatch(glob: str, name: str) -> None:
    assert bool(Pattern(glob).matcher()(name)) == fnmatchcase(name, glob)
    assert not Pattern(glob).is_name or bool(Pattern(glob).matcher()(name)) == (glob == name)


def test_a_regular_expression_takes_no_time_that_grows() -> None:
    rules = parse('rules: [{series: {regex: "(a|a)*(a|a)*(a+)+b"}}]', SETTINGS)
    assert rules.number("a" * 249) is None
    assert rules.number("a" * 248 + "b") == 0


@pytest.mark.parametrize(
    ("regex", "name", "does"),
    [
        ("pump", "pump-7", False),
        ("pump.*", "pump-7", True),
        (".", "\n", True),
        ("[ä]", "ä", True),
        ("(?i)A", "a", True),
    ],
)
def test_a_regular_expression_is_of_the_whole_name(regex: str, name: str, does: bool) -> None:
    assert bool(Pattern(regex, is_regex=True).matcher()(name)) is does


# -- what is told of a file that is wrong ---------------------------------------------------------------

WRONG = """\
rules:
  - series: {regex: "a(b"}
    window: {size: 0s, lateness: -5, idles: 30s}
    detectors:
      - use: sigm
      - {use: sigma, sigmas: "4", min_count: true, min_foo: 3, severity: bad}
      - {use: sigma}
      - {use: sigma, as: "x y"}
      - {use: sigma/1}
      - sigma
      - {sigmas: 3}
    lead: 10 minutes
    labels: {site: 3, "a b": x}
  - serie: x
    window: every
  - 3
  - series: [1]
    incident: {escalate: {anomalies: 3, to: warning}, rest: {}, open: {anomalies: 5, of: 3}, quiet: 0}
    detectors: []
  - series: a
    incident: {escalate: {anomalies: 3, to: warning}}
"""


def test_all_that_is_wrong_is_told_at_once_by_line_and_column() -> None:
    found = [line.split(": ", 2) for line in problems(WRONG)]
    assert [(place, where) for place, where, _ in found] == [
        ("2:14", "rules[0].series.regex"),
        ("3:14", "rules[0].window.size"),
        ("3:24", "rules[0].window.lateness"),
        ("3:38", "rules[0].window.idles"),
        ("5:9", "rules[0].detectors[0].use"),
        ("6:22", "rules[0].detectors[1].sigmas"),
        ("6:35", "rules[0].detectors[1].min_count"),
        ("6:52", "rules[0].detectors[1].min_foo"),
        ("6:64", "rules[0].detectors[1].severity"),
        ("8:22", "rules[0].detectors[3].as"),
        ("9:9", "rules[0].detectors[4]"),
        ("10:9", "rules[0].detectors[5]"),
        ("11:9", "rules[0].detectors[6].use"),
        ("12:5", "rules[0].lead"),
        ("13:14", "rules[0].labels.site"),
        ("13:23", "rules[0].labels.a b"),
        ("14:5", "rules[1].serie"),
        ("14:5", "rules[1].series"),
        ("15:5", "rules[1].window"),
        ("16:5", "rules[2]"),
        ("17:5", "rules[3].series"),
        ("18:55", "rules[3].incident.rest"),
        ("18:65", "rules[3].incident.open"),
        ("18:94", "rules[3].incident.quiet"),
        ("19:5", "rules[3].detectors"),
        ("21:41", "rules[4].incident.escalate.to"),
    ]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("rules:\n\t- series: a", "2:1: the file: not YAML: .*a tab can't indent"),
        ("rules: [", "1:.*not YAML"),
        ("rules: \x00", "1:8: the file: not YAML: a character"),
        ("rules: []\nrules: []", "2:1: rules: is there twice, the first time in line 1"),
        ("rules: [{series: a, series: b}]", r"1:21: rules\[0\]\.series: is there twice"),
        ("rules: &a []\nmore: *a", "anchors and aliases"),
        ("rules: !!seq []", "tags such as"),
        ("rules: []\n---\nrules: []", "2:1: the file: a second document"),
        ("rules: [{? [1] : 2}]", "a field's name must be text"),
        ('rules: [{series: "\\ud800"}]', "1:18: .*half a UTF-16 surrogate pair"),
        ("rules: " + "[" * 500 + "]" * 500, "too deep"),
        ("x" * (MOST_BYTES + 1), f"has more than {MOST_BYTES} bytes"),
        ("", "1:1: the file: "),
        ("rules", "1:1: the file: "),
        ("rules: 3", "1:1: rules: "),
        ("rule: []", "there is no such field"),
        ("rules: [{series: a, detectors: [{use: nobodys}]}]", "no detector is called 'nobodys'; there are .*sigma/1"),
        ("rules: [{series: a, detectors: [{use: sigma/99}]}]", "no detector is called 'sigma/99'"),
        ("rules: [{series: a, detectors: [{use: sigma, sigmas: -1}]}]", "1:46: .*greater than 0"),
        ("rules: [{series: a, detectors: [{use: sigma, sigmas: .inf}]}]", "finite"),
        ("rules: [{series: a, detectors: [{use: student, sigmas: 38}]}]", r"1:48: .*at most 37: .*no threshold"),
        ("rules: [{series: a, least: {absolute: .nan}}]", r"rules\[0\]\.least\.absolute"),
        ("rules: [{series: a, lead: true}]", "must be a length of time"),
        ("rules: [{series: a, lead: 99999999d}]", "less than"),
        ("rules:\n- series: a\n  detectors:\n  - use: |\n      sigma\n", "4:5: "),
        ("rules:\n- series: a\n  detectors:\n  - use: |-\n      sigma\n", "4:5: .*one line"),
        (f"rules: [{{series: a, detectors: [{'{use: x},' * (MOST_DETECTORS + 1)}]}}]", f"at most {MOST_DETECTORS}"),
    ],
)
def test_what_is_wrong(text: str, want: str) -> None:
    found = problems(text)
    assert any(re.search(want, line) for line in found), found
    assert all(line.isprintable() for line in found)


def test_a_file_with_nothing_right_is_told_in_a_page() -> None:
    found = problems("rules: [" + "3," * 1000 + "]")
    assert len(found) == 101
    assert found[-1] == "and 900 more"


class Loose(contract.Parameters):
    """Parameters of a user's own."""

    size: Annotated[int, Field(gt=0)] = 3
    pair: tuple[int, int] = (1, 2)


class Quiet(contract.WindowDetector[Loose, contract.Nothing]):
    name = "quiet/2"
    Parameters = Loose

    def check(self, state: contract.Nothing, window: Any) -> None:
        """Nothing is ever wrong."""


class Picky(Quiet):
    """One whose parameters do not go together."""

    def __init__(self, parameters: Loose) -> None:
        super().__init__(parameters)
        if parameters.size > 9:
            raise ValueError("size must not be\nmore than 9")


@pytest.fixture
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"quiet": Quiet, "quiet/2": Quiet, "picky": Picky}
    monkeypatch.setattr(parsing, "load", own.__getitem__)


@pytest.mark.usefixtures("_own")
def test_detectors_of_windows_need_windows() -> None:
    (found,) = problems("rules: [{series: a, window: each, detectors: [{use: quiet}]}]")
    assert found.startswith("1:47: rules[0].detectors[0]: quiet/2 judges windows")
    assert parse("rules: [{series: a, detectors: [{use: quiet}]}]", SETTINGS).of("a").detectors[0].name == "quiet/2"


@pytest.mark.usefixtures("_own")
def test_a_detector_may_take_lists_and_refuse_its_parameters() -> None:
    (watch,) = one("detectors: [{use: quiet, pair: [3, 4]}]").detectors
    assert watch.detector == Quiet(Loose(pair=(3, 4)))
    (found,) = problems("rules: [{series: a, detectors: [{use: picky, size: 10}]}]")
    assert found == r"1:33: rules[0].detectors[0]: size must not be\nmore than 9"


texts = st.one_of(
    st.text(),
    st.text(st.sampled_from("rules: [{}]-\n\t\"'&*!|>%@`#,?~\\\ufeff\u2028\x85\ud800019.eExo_abms")),
    st.builds(
        lambda text, at, more: text[:at] + more + text[at:],
        st.just(FULL),
        st.integers(0, len(FULL)),
        st.text("\n\t []{}:-'\"&*!|>#,09.ms~"),
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*Watch.model_fields, "series", "as"]), inner),
    ).map(lambda value: json.dumps({"rules": [value, {"series": "a", "detectors": [value]}]})),
)


@given(texts)
@example("a: '\ud800'")
def test_whatever_a_text_is_it_is_rules_or_told_what_is_wrong(text: str) -> None:
    try:
        rules = parse(text, SETTINGS)
    except RulesError as error:
        is_told(error, text)
        return
    rules.text.encode()
    again = parse(rules.text, SETTINGS)
    assert (again.text, again.entries) == (rules.text, rules.entries)


def is_told(error: RulesError, text: str) -> None:
    """There are problems, at places of the text, in lines that can be shown."""
    lines = len(re.findall("[\n\r\x85\u2028\u2029]", text)) + 1
    assert error.problems
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in error.problems)
    assert all(line.isprintable() and len(line) < 1500 for line in str(error).splitlines())


def test_the_schema_knows_every_field() -> None:
    found = schema()
    definitions = found["$defs"]

    def fields(name: str) -> set[str]:
        return set(definitions[name]["properties"])

    content = YAML(typ="safe", pure=True).load(FULL)["rules"][0]
    assert set(content) <= fields("Rule")
    assert {key for detector in content["detectors"] for key in detector} <= fields("sigma_1")
    assert definitions["sigma_1"]["properties"]["use"]["enum"] == ["sigma/1", "sigma"]
    for name, definition in definitions.items():
        assert definition["additionalProperties"] is False, name
