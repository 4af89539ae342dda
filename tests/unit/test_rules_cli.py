"""`oda rules` where it needs no server: files that are checked, shown and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from oda.cli.main import app
from oda.errors import UserError
from oda.paths import ROOT

ONE = "rules: [{series: 'pump-*', window: {size: 60s}}, {series: '*', window: each}]\n"
SAME = (
    "# Other words.\nrules:\n- window: {size: 1m}\n  series: pump-*\n- {series: '*', window: each, direction: both}\n"
)
WRONG = "rules:\n- series: a\n  lead: soon\n- series: [b]\n"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("one.yaml", ONE), ("same.yaml", SAME), ("wrong.yaml", WRONG)):
        Path(name).write_text(text)


def oda(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(ROOT / "config.json"), "rules", *arguments])


def test_a_file_is_checked() -> None:
    done = oda("check", "one.yaml")
    assert (done.exit_code, done.stdout) == (0, "one.yaml: 2 rules, nothing is wrong\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "wrong.yaml"],
        ["apply", "wrong.yaml"],
        ["show", "--file", "wrong.yaml"],
        ["diff", "wrong.yaml", "one.yaml"],
    ],
)
def test_what_is_wrong_is_told_by_file_line_and_column(arguments: list[str]) -> None:
    done = oda(*arguments)
    assert done.exit_code == 1
    assert [" ".join(line.split()[:2]) for line in done.stdout.splitlines()] == [
        "wrong.yaml:3:3: rules[0].lead:",
        "wrong.yaml:4:3: rules[1].series:",
    ]


def test_a_file_that_is_none_is_told_so() -> None:
    Path("latin.yaml").write_bytes(b"# caf\xe9")
    for name, want in (("nothing.yaml", "nothing.yaml: No such file"), ("latin.yaml", "latin.yaml: not UTF-8")):
        done = oda("check", name)
        assert isinstance(done.exception, UserError)
        assert str(done.exception).startswith(want)


def test_the_schema_is_json() -> None:
    assert json.loads(oda("check", "--schema").stdout)["properties"].keys() == {"rules", "groups"}


def test_the_rule_of_a_series_is_shown_in_full() -> None:
    shown = oda("show", "--file", "one.yaml", "pump-7", "tank").stdout
    assert "# rule 1 of one.yaml\nseries: pump-7\nwindow:\n  size: 1m\n  lateness: 0ms\n  idle: 5s\n" in shown
    assert "# rule 2 of one.yaml\nseries: tank\nwindow: each\n" in shown
    assert shown.count("use: sigma/1\n  sigmas: 4.0\n") == 2
    assert oda("show", "--file", "one.yaml").stdout == ONE


def test_only_what_is_said_can_differ() -> None:
    assert (oda("diff", "one.yaml", "same.yaml").exit_code, oda("diff", "one.yaml", "same.yaml").stdout) == (0, "")
    Path("other.yaml").write_text(ONE.replace("60s", "61s"))
    done = oda("diff", "one.yaml", "other.yaml")
    assert done.exit_code == 1
    assert {"-    size: 1m", "+    size: 61s"} <= set(done.stdout.splitlines())
