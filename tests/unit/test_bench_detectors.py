"""`oda bench nab|noise|detectors|groups`, with little to measure."""

from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from oda.bench import noise
from oda.cli.bench import app
from oda.cli.context import Context
from oda.core.detectors import installed, load
from oda.errors import UserError
from oda.paths import ROOT
from oda.plan.measured import GroupRun

SMALL = {
    "noise": ["--readings", "20000", "--window", "5", "--window", "50"],
    "detectors": ["--readings", "10000", "--series", "10"],
}


@pytest.mark.parametrize("command", SMALL)
def test_all_detectors_are_measured(command):
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [command, *SMALL[command]], catch_exceptions=False)
    assert done.exit_code == 0
    rules = {"stuck/1", "silent/1"} if command == "noise" else set()
    assert {name for name in installed() if name in done.output} == installed().keys() - rules


def test_groups_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("oda.cli.bench.groups.GROUPS", tmp_path / "groups.json")
    command = ["groups", "--series", "1000", "--group", "10", "--group", "1"]
    context = Context(ROOT / "config.json", "local")
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, command, obj=context, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count(" 2,000 ") == 2  # two windows of each series wait
    runs = msgspec.json.decode((tmp_path / "groups.json").read_bytes(), type=list[GroupRun])
    assert [(run.groups, run.waiting) for run in runs] == [(10, 2000), (1, 2000)]
    assert all(min(run.told, run.read, run.merged, run.saved) > 0 for run in runs)
    assert all(run.memory > run.state for run in runs)
    assert all(run.logged > 50 for run in runs)  # names and figures of a member as text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("sigma=4", "student does not take that: sigma: Extra inputs"),
        ("sigmas=-1", "sigmas: Input should be"),
        ("sigmas", "name=value"),
    ],
)
def test_parameters_that_a_detector_does_not_take_are_named(nab, given, problem):
    command = ["nab", "--data", str(nab), "--detector", "student", "--set", given]
    with pytest.raises(UserError, match=problem):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_more_noise_than_promised_is_seen():
    """The measurement can fail: 4 sigma of windows of 5 readings."""
    sigma = load("sigma")
    found = noise.measure(sigma(sigma.Parameters()), noise.NOISE["normal"], 50_000, 5)
    assert found.found / found.judged == pytest.approx(0.03, rel=0.2)
