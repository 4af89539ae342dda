"""`oda rules`: which series get which windows, detectors and incident policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oda.cli.checked import problems_of, text_of
from oda.cli.context import Context
from oda.core.rules.file import schema
from oda.core.rules.match import Rules, digest, of_options
from oda.core.rules.parse import parse
from oda.core.rules.pattern import Pattern
from oda.core.rules.shown import as_yaml, described, shown
from oda.errors import UserError
from oda.kafka import client
from oda.kafka import rules as topic
from oda.kafka.group import Group
from oda.kafka.topics import create_topics
from oda.settings import Settings

app = typer.Typer(
    help="Rules: which series get which windows, detectors and incident policy (docs/rules.md).", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="A file of rules.", show_default=False)]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="rules")


@app.command()
def check(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A file of rules.", show_default=False)] = None,
    schema_: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of such a file instead.")] = False,
) -> None:
    """Checks a file, or without one what was applied.

    Of a file it needs no server. What is wrong is printed as FILE:LINE:COLUMN.
    Without a file it looks whether every partition of the readings follows the
    newest rules, and whether they can be read by this version of ODA.

    Exit code 1: something is wrong.

    Examples:

        oda rules check rules.yaml

        oda rules check --schema > rules.schema.json

        oda rules check
    """
    if schema_:
        print(json.dumps(schema(), indent=2))
    elif file is not None:
        found = from_file(file, _settings(ctx))
        print(f"{file}: {len(found.entries)} rules, nothing is wrong")
    else:
        _check_applied(_settings(ctx))


def _check_applied(settings: Settings) -> None:
    with _topic(settings) as rules:
        marks, behind = rules.marks(), rules.behind()
        if not marks:
            print(f"no rules were applied for group {settings.kafka.group}: the topology's options hold")
            return
        version = max(marks)
        found = _parsed(f"version {version}", rules.read(version), settings, version)
    print(f"version {version}: {len(found.entries)} rules, nothing is wrong")
    if behind:
        print(_behind(behind, settings))
        raise typer.Exit(1)


@app.command()
def show(
    ctx: typer.Context,
    series: Annotated[list[str] | None, typer.Argument(help="Names of series.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Of this file, not of what was applied.")] = None,
    version: Annotated[int | None, typer.Option(min=0, show_default="the newest", help="Of this version.")] = None,
) -> None:
    """Shows the rule of each series in full, with what the topology's options say; without series the rules' text.

    Examples:

        oda rules show

        oda rules show pump-7/power tank-3/level

        oda rules show --file rules.yaml pump-7/power

        oda rules show --version 12 > rules.yaml
    """
    settings = _settings(ctx)
    rules = from_file(file, settings) if file else _applied(settings, version)
    if not series:
        print(rules.text, end="")
    for name in series or ():
        number = rules.number(name)
        source = "the topology's options" if number is None else f"rule {number + 1} of {file or 'version'}"
        print(f"# {source}{'' if file or number is None else f' {rules.version}'}")
        for membership in rules.memberships(name):
            print(f"# a member of {membership.group}")
        print(as_yaml(described(Pattern(name), rules.of(name))), end="")


@app.command()
def diff(
    ctx: typer.Context,
    old: Annotated[str, typer.Argument(help="A file, or a version; 0 is the options alone.")],
    new: Annotated[str, typer.Argument(help="A file, or a version.")],
) -> None:
    """Shows what of two sets of rules differs, each written out in full.

    So comments, units and the order of fields do not matter.

    Exit code 0: they say the same. 1: they differ.

    Examples:

        oda rules diff 12 rules.yaml

        oda rules diff old.yaml new.yaml
    """
    settings = _settings(ctx)
    before, after = (shown(_either(name, settings)).splitlines() for name in (old, new))
    lines = list(unified_diff(before, after, old, new, n=5, lineterm=""))
    for line in lines:
        print(line)
    raise typer.Exit(1 if lines else 0)


@app.command()
def apply(ctx: typer.Context, file: File) -> None:
    """Puts rules into the log: from there on every partition follows them.

    Nothing is restarted. Applied again it changes nothing, but reaches partitions
    that were added meanwhile.

    Example: [bold]oda rules apply rules.yaml[/bold]
    """
    settings = _settings(ctx)
    done = topic.apply(settings.kafka, from_file(file, settings).text)
    places = ", ".join(f"{number} from offset {offset}" for number, offset in sorted(done.offsets.items()))
    print(f"version {done.version}{'' if done.is_new else ', which was there already'}; partition {places}")


@app.command()
def history(ctx: typer.Context) -> None:
    """Lists the versions of the rules, and how many partitions have come to each.

    A version that is in no partition was applied for another group, or whoever
    applied it was interrupted.
    """
    settings = _settings(ctx)
    with _topic(settings) as rules:
        versions, marks, there, behind = rules.history(), rules.marks(), rules.partitions(), rules.behind()
    with closing(Group(settings.kafka)) as group, client.explained(settings.kafka):
        committed = {part.partition: offset for part, offset in group.committed().items()}
    table = Table("version", "written (UTC)", "sha256", "in partitions", "which have come to it")
    for version in versions:
        offsets = marks.get(version.version, {})
        reached = sum(committed.get(number, 0) > offset for number, offset in offsets.items())
        written = f"{datetime.fromtimestamp(version.time / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        share = f"{len(offsets)} of {len(there)}"
        table.add_row(str(version.version), written, digest(version.text)[:12], share, str(reached))
    Console().print(table)
    if behind:
        print(_behind(behind, settings))


def _behind(partitions: list[int], settings: Settings) -> str:
    numbers = ", ".join(map(str, partitions))
    return f"behind: partitions {numbers} of topic {settings.kafka.readings}; say `oda rules apply` again"


@contextmanager
def _topic(settings: Settings) -> Iterator[topic.RulesTopic]:
    create_topics(settings.kafka)
    with closing(topic.RulesTopic(settings.kafka)) as rules:
        yield rules


def _applied(settings: Settings, version: int | None) -> Rules:
    """A version; the newest one of our group, if not said which."""
    with _topic(settings) as rules:
        if version is None:
            version = max(rules.marks(), default=0)
        if version == 0:
            return of_options(settings)
        try:
            text = rules.read(version)
        except LookupError:
            raise UserError(f"there are no rules of version {version}; `oda rules history` lists them") from None
    return _parsed(f"version {version}", text, settings, version)


def _either(name: str, settings: Settings) -> Rules:
    is_version = name.isdecimal() and not Path(name).exists()
    return _applied(settings, int(name)) if is_version else from_file(Path(name), settings)


def from_file(file: Path, settings: Settings) -> Rules:
    """The rules of a file; ends the program with a line for each problem when they are none. Raises UserError."""
    return _parsed(str(file), text_of(file), settings)


def _parsed(name: str, text: str, settings: Settings, version: int = 0) -> Rules:
    """The rules; ends the program with a line for each problem when they are none."""
    with problems_of(name):
        return parse(text, settings, version)


def _settings(ctx: typer.Context) -> Settings:
    context: Context = ctx.obj
    return context.settings()
