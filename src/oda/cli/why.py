"""`oda why SERIES TIME`: an anomaly that was found, with what it was made of, recomputed."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from oda.cli.context import Context
from oda.collect.times import parse_time
from oda.core.groups.definition import is_group
from oda.core.reading import RejectedError, epoch_ms
from oda.errors import UserError
from oda.query import moved
from oda.query.why import anomalies, explained, lines
from oda.stores.cassandra import CassandraStore

_STYLES = {"title": "bold red", "wrong": "red", "right": "green"}


def register(app: typer.Typer) -> None:
    app.command()(why)


def why(
    ctx: typer.Context,
    series: Annotated[str, typer.Argument(help="The series' name.")],
    time: Annotated[str, typer.Argument(help="Of the anomaly: RFC 3339, YYYY-MM-DD HH:MM:SS (UTC), or epoch ms.")],
    offset: Annotated[
        int | None, typer.Option(min=0, help="Of several at one time, the reading at this offset.")
    ] = None,
) -> None:
    """Explains an anomaly: what was expected, and of which readings that was learned.

    Reads it from Cassandra, with its baseline window and the archived readings of
    that, and has the core recompute both. For a detector that remembers more than
    the newest window the core runs over all that is archived of the series. Of a
    group it names the members that moved it most, out of the log of members.

    Exit code 0: what the store has is recomputed to the last bit. 1: it is not.

    Examples:

        oda why pump-7 "2026-11-22 18:26:42"

        oda why pump-7 2026-11-22T18:26:42.123Z --offset 40712
    """
    context: Context = ctx.obj
    settings = context.settings()
    begin, end = _span(time)
    is_equal, console = True, Console()
    with closing(CassandraStore(settings)) as store:
        for one in anomalies(store, series, begin, end, offset):
            found, is_all = explained(store, one, settings)
            of_members = moved.lines(store, one, found.window, settings) if is_group(series) else ()
            for text, what in chain(lines(found, one.partition, is_all), of_members):
                console.print(Text(text, _STYLES.get(what, "")), soft_wrap=True)
                is_equal = is_equal and what != "wrong"
    raise typer.Exit(0 if is_equal else 1)


def _span(text: str) -> tuple[int, int]:
    """From when to when a time is meant, epoch ms: a second, if it is written without a fraction of it."""
    try:
        time = parse_time(text)
        begin = epoch_ms(time)
    except (ValueError, RejectedError) as error:
        raise UserError(f"TIME: {error}") from None
    return begin, begin + (1 if isinstance(time, int) or time.microsecond else 1000)
