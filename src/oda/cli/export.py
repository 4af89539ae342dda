"""`oda export`: readings, windows, anomalies and incidents of a span of time, as a file for notebooks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oda.cli.context import Context
from oda.cli.spans import moment
from oda.core.kinds import KINDS
from oda.core.rules.pattern import Pattern
from oda.errors import UserError
from oda.export.files import created
from oda.export.tables import COLUMNS, READINGS, Columns, Wanted, of_readings, of_rows
from oda.say import say
from oda.stores.cassandra import CassandraStore

What = StrEnum("What", list(COLUMNS))  # type: ignore[misc]  # mypy wants to see the names


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    ctx: typer.Context,
    what: Annotated[What, typer.Argument(help="Which table.", show_default=False)],
    file: Annotated[str, typer.Argument(help="NAME.parquet or NAME.csv; - is stdout, as CSV.")],
    since: Annotated[str, typer.Option(metavar="TIME", help="From this time on.", show_default=False)],
    until: Annotated[str, typer.Option(metavar="now|TIME", help="Before this time.")] = "now",
    series: Annotated[str, typer.Option(metavar="GLOB", help="Which series.")] = "*",
) -> None:
    """Writes what Cassandra has of a span of time into a file.

    A time is the reading's own (of a window its start, of an incident that of its
    first anomaly): RFC 3339, YYYY-MM-DD HH:MM:SS in UTC, or epoch ms. Rows come by
    ten minutes, within them as Cassandra has them. A file that is there already is
    replaced when all is written.

    Examples:

        oda export readings readings.parquet --since 2026-11-25T00:00:00Z --series "pump-*"

        oda export incidents - --since "2026-11-01 00:00:00" | column -ts,
    """
    context: Context = ctx.obj
    begin = moment("--since", since)
    end = int(time.time() * 1000) if until == "now" else moment("--until", until)
    if begin >= end:
        raise UserError(f"--since {since} is not before --until {until}")
    path, count = None if file == "-" else Path(file), 0
    console = Console(stderr=True)
    with (
        closing(CassandraStore(context.settings())) as store,
        created(path, COLUMNS[what]) as opened,
        console.status(f"exporting {what}") as status,
    ):
        for columns in _columns(store, what, begin, end, Pattern(series).matcher()):
            opened.write(columns)
            count += len(columns[0])
            status.update(f"exporting {what}: {count:,}")
    say(f"{count:,} {what} in {path or 'stdout'}")


def _columns(store: CassandraStore, what: str, since: int, until: int, wanted: Wanted) -> Iterator[Columns]:
    if what == READINGS:
        return of_readings(store.readings_between(since, until), wanted)
    return of_rows(what, store.rows_between(KINDS[what], since, until), wanted)
