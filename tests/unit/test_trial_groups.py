"""Groups in a trial: what they make and what is found in it is what the audit's second implementation says."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from test_trial import BEGIN, cut, orders, readings
from typer.testing import CliRunner

from made import settings
from oda.audit.members import Members
from oda.audit.message import ClockRecord
from oda.audit.reference import Reference
from oda.cli.main import app
from oda.core.batch import Batch, ClockMark
from oda.core.groups.definition import is_group
from oda.core.groups.told import Members as Told
from oda.core.groups.told import Progress
from oda.core.reading import Reading
from oda.core.rules.match import Rules
from oda.core.rules.parse import parse
from oda.trial.compare import compare
from oda.trial.run import Trial, run

WINDOWS = "window: {size: 1s, lateness: 300ms, idle: 700ms}"

RULES = f"""rules:
- series: "group:*"
  {WINDOWS}
  detectors: [{{use: sigma, sigmas: 1, min_count: 1, min_stddev: 0.1, incident: {{quiet: 3s}}}}, {{use: silent}}]
- {{series: "*", {WINDOWS}, lead: 5s, detectors: [{{use: sigma, sigmas: 1, incident: {{quiet: 2s}}}}]}}
"""


def rules_of(aggregate: str, lateness: str) -> Rules:
    window = f"window: {{size: 1s, lateness: {lateness}}}"
    groups = f"""groups:
- {{name: x, members: "?", aggregate: {aggregate}, {window}, suppresses: true}}
- {{name: all, members: "group:x", aggregate: mean, window: {{size: 2s, lateness: 4s}}}}
"""
    return parse(RULES + groups, settings(), 1)


CHOICES = [rules_of(*one) for one in (("mean", "500ms"), ("anomalous", "0s"), ("late", "0s"), ("readings", "2s"))]
CALM = parse(CHOICES[0].text.replace(', {use: "silent/1"}', "").replace("idle: 700ms", "idle: 9s"), settings(), 1)


class Record:
    """Of the log of members."""

    def __init__(self, offset: int, told: Told | Progress) -> None:
        self.offset, self.value = offset, msgspec.json.encode(told)


class Recorded(Trial):
    """Keeps what the machines are given, as both logs would have it."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(settings(), rules, keep=True)
        assert self._groups
        self.log: list[tuple[int, Reading | ClockMark]] = []
        self.told: list[Record] = []
        apply, tell = self._windows.apply, self._groups._merging.apply

        def recorded(batch: Batch) -> None:
            names, *columns = batch.readings
            for code, at, time, value in zip(*(column.tolist() for column in columns), strict=True):
                self.log.append((at, Reading(names[code], time, value)))
            self.log += [(mark.offset, mark) for mark in batch.marks]
            apply(batch)

        def told(batch: Batch) -> None:
            self.told += [Record(mark.offset, mark.told) for mark in batch.told]
            tell(batch)

        self._windows.apply, self._groups._merging.apply = recorded, told  # type: ignore[method-assign]


@given(readings, orders, st.sampled_from(CHOICES), st.integers(1, 20))
def test_what_is_found_is_what_the_audit_makes_of_both_logs(found, order, rules: Rules, size: int) -> None:
    trial, reference, members = Recorded(rules), Reference(settings()), Members("")
    for part in cut(sorted(found, key=order), size):
        trial.take(part)
    trial._derive()  # what the log of members does not have yet
    reference.read_rules(-1, rules)
    for offset, one in trial.log:
        if isinstance(one, ClockMark):
            reference.read_clock(offset, ClockRecord("", one.position, one.through, ()))
        else:
            reference.read(offset, one)
            if one.series.startswith("group:"):
                members.derived(0, offset, one)
    members.expect(0, reference)
    members.read(0, trial.told)
    assert [(one.rows, one.faults, one.examples) for one in members.compared() if one.faults] == []
    assert trial._gathered._found.windows == reference.windows
    assert trial._gathered._found.anomalies == reference.anomalies
    assert list(trial._gathered._incidents.values()) == list(
        {(one.offset, one.detector): one for one in reference.incidents}.values()
    )


@given(readings, orders, st.sampled_from(CHOICES), st.integers(1, 20))
def test_the_result_does_not_depend_on_how_the_file_is_cut(found, order, rules: Rules, size: int) -> None:
    found = sorted(found, key=order)
    whole, parts = (run(cut(found, one), settings(), rules, keep=True) for one in (len(found), size))
    assert (parts.anomalies, parts.incidents, parts.series) == (whole.anomalies, whole.incidents, whole.series)
    assert parts.windows == whole.windows


@given(readings, orders, st.sampled_from(CHOICES))
def test_groups_change_nothing_of_their_members_not_even_offsets(found, order, rules: Rules) -> None:
    parts = cut(sorted(found, key=order), 7)
    with_, without = (run(parts, settings(), one) for one in (rules, replace(rules, groups=())))
    assert [one for one in with_.anomalies if not is_group(one.series)] == without.anomalies
    assert [one for one in with_.incidents if not is_group(one.series)] == without.incidents
    assert {name: counts for name, counts in with_.series.items() if not is_group(name)} == without.series
    assert [one for one in compare(with_, without).anomalies.gained if not is_group(one.series)] == []


def spikes() -> list[Reading]:
    """A reading of three series each 100 ms; all of them are high at once."""
    return [
        Reading(series, BEGIN + 100 * at, 50.0 if 150 <= at < 160 else 1.0 + at % 2 / 10)
        for at in range(300)
        for series in "abc"
    ]


def test_a_groups_readings_are_judged_and_what_they_make_is_one_incident() -> None:
    found = run(cut(spikes(), 40), settings(), CALM)
    assert found.series["group:x"].readings == 30
    assert ("group:x", "resolved") in [(one.series, one.change) for one in found.incidents]
    [spike] = [one for one in found.anomalies if one.series == "group:x" and one.value > 9]
    assert (spike.time, spike.value) == (BEGIN + 15_000, 50.0)
    assert all(one.offset < 2 * 900 for one in found.anomalies), "offsets count what is in the file"


def test_the_command_and_its_page_show_groups(tmp_path) -> None:
    file, rules = tmp_path / "rack.csv", tmp_path / "rules.yaml"
    rows = (f"{one.series},{one.time},{one.value}" for one in spikes())
    file.write_text("\n".join(["series,timestamp,value", *rows]))
    rules.write_text(CALM.text)
    command = ["try", str(file), "--rules", str(rules), "--page", str(tmp_path / "page.html")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "900 readings of 3 series and 2 groups" in result.stdout
    assert "5 incidents (3 suppressed by those of groups)" in result.stdout
    told = result.stdout.partition("Incidents")[2].partition("Anomalies")[0].split()
    assert {"group:x", "group:all"} <= set(told)
    assert not {"a", "b", "c"} & set(told)
    page = (tmp_path / "page.html").read_text()
    assert '"name":"group:x"' in page
    assert "a, suppressed by group:x" in page
    shown = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert {one["suppressed_by"] for one in shown["incidents"] if one["series"] == "a"} == {"group:x"}
    assert {one["suppressed_by"] for one in shown["incidents"] if one["series"] == "group:x"} == {None}
