"""`oda shadow RULES`: a second set of rules judges the log beside the live one, into stores of its own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from oda.cli.context import Context
from oda.cli.rules import from_file
from oda.cli.shadowed import Report
from oda.cli.spans import end_of, place
from oda.core.kinds import ANOMALIES, INCIDENTS
from oda.core.rules.match import Rules
from oda.errors import UserError
from oda.say import say
from oda.settings import Settings, load_options
from oda.shadow import run, stores
from oda.shadow.compare import Span


def register(app: typer.Typer) -> None:
    app.command()(shadow)


def shadow(
    ctx: typer.Context,
    rules: Annotated[Path | None, typer.Argument(help="A file of rules.", show_default=False)] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="OFFSET|TIME", help="Where to begin, in each partition.", show_default=False),
    ] = None,
    until: Annotated[str, typer.Option(metavar="now|TIME", help="Where to end.")] = "now",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    name: Annotated[str, typer.Option(help="Of its stores; begins with `shadow`.")] = "shadow",
    drop: Annotated[
        bool, typer.Option("--drop", help="Delete the stores of that name (first, if rules are given).")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Lets other rules judge the same readings, and says what differs from the live results.

    Reads the topic of readings from a place on, judges it by the rules of the file,
    and writes windows, anomalies and incidents into a keyspace, indices and topics
    of its own. Nothing of the live system changes: nothing is committed, nothing
    put into the log. A time is when records came: RFC 3339, or YYYY-MM-DD HH:MM:SS
    in UTC; 0 is the beginning.

    Anomalies of one reading are the same; incidents are if they have some time in
    common. What hangs on a window that a clock closed is told apart, as each has
    a clock of its own. What the topology has not committed yet is left out.

    Exit code 0: nothing is gained or lost, but by the clock. 1: something is, or
    the rules are wrong.

    Examples:

        oda shadow rules.yaml --from 2026-11-25T00:00:00Z

        oda shadow rules.yaml --from 0 --json | jq .differences.anomalies.gained

        oda shadow rules.yaml --from "2026-11-25 12:00:00" --follow --name shadow_student

        oda shadow --drop
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    context: Context = ctx.obj
    own = stores.settings_of(name, load_options(context.config, context.env))
    live = context.settings()
    if rules is None and not drop:
        raise UserError("which rules? oda shadow RULES --from OFFSET|TIME")
    if rules is not None:
        chosen, begin, end = from_file(rules, live), _begin(from_), _until(until, follow)
    if drop:
        stores.drop(own)
    if rules is None:
        say(f"the stores of {name} are deleted")
        return
    report = _report(live, own, name, chosen, begin, end, follow)
    if json_:
        print(json.dumps(report.document(live.kafka.readings)))
    else:
        report.show(name, live.kafka.group, Console())
    raise typer.Exit(int(report.differs))


def _report(
    live: Settings, own: Settings, name: str, rules: Rules, begin: run.Place, until: datetime | None, follow: bool
) -> Report:
    """Judge, write and compare."""
    with ExitStack() as stack:
        log = stack.enter_context(run.opened(live.kafka, begin, until))
        run.require_results(live, log.id)
        written = stack.enter_context(stores.opened(own, name, log.id))
        judged = run.Shadow(own, rules, log.spans, written)
        with _interruptible(follow), _progress(judged, log.spans, follow) as progress:
            judged.run(log.read(follow), progress)
    spans = run.as_far_as_live(live.kafka, judged.spans)
    return Report(judged, spans, run.compared(own, live, spans))


def _begin(text: str | None) -> run.Place:
    if text is None:
        raise UserError("from where on? --from OFFSET|TIME; 0 is the beginning")
    return place("--from", text)


def _until(text: str, follow: bool) -> datetime | None:
    if follow and text != "now":
        raise UserError("give either --until or --follow")
    return end_of(text)


@contextmanager
def _interruptible(follow: bool) -> Iterator[None]:
    """Ctrl-C is how following ends; else it ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        if not follow:
            raise


@contextmanager
def _progress(judged: run.Shadow, spans: Mapping[int, Span], follow: bool) -> Iterator[Any]:
    """Shows how far it is; on a terminal only. Gives what is to be told how many offsets are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        total = None if follow else sum(span.end - span.start for span in spans.values())
        task = progress.add_task("judging", total=total)

        def done(offsets: int) -> None:
            counts = ", ".join(f"{judged.found[kind.name]:,} {kind.name}" for kind in (ANOMALIES, INCIDENTS))
            progress.update(task, advance=offsets, description=f"{judged.readings:,} readings: {counts}")

        yield done
