"""The command `oda` as a whole."""

import subprocess
import sys

from typer.testing import CliRunner

from oda.cli.main import _COMMANDS, app


def test_every_command_is_there_and_in_the_help() -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["--help"]).output
    for name in _COMMANDS:
        assert f" {name} " in shown
        found = runner.invoke(app, [name, "--help"])
        assert found.exit_code == 0
        assert f"oda {name} " in found.output


def test_a_command_that_is_not_there_is_a_users_mistake() -> None:
    found = CliRunner().invoke(app, ["wacth"])
    assert found.exit_code == 2
    assert "wacth" in found.output


def test_a_command_does_not_import_what_others_need() -> None:
    code = "import sys; from oda.cli.main import app\ntry: app(['try', '--help'])\nexcept SystemExit: pass\n"
    code += "print('imported:', [name for name in ('cassandra', 'elasticsearch', 'aiohttp') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.endswith("imported: []\n")
