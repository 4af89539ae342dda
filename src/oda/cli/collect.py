"""`oda collect SOURCE`: turns a source into readings in Kafka."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from oda.cli.context import Context
from oda.cli.csvfiles import BadRows, character
from oda.cli.where import Certificate, Host, Key, Port, TokenFile
from oda.collect import csvfile
from oda.collect.check import Check
from oda.collect.endpoint import serve
from oda.collect.intake import Intake, intake
from oda.collect.kinds import readings as of_each_kind
from oda.collect.late import Late
from oda.collect.lines import collect_lines
from oda.collect.lines import stdin as read_stdin
from oda.collect.producer import Producer
from oda.collect.run import collect
from oda.collect.subscriber import subscribe
from oda.collect.times import Replay, parse_time
from oda.collect.timeunit import TimeUnit
from oda.collect.upstream import Upstream
from oda.collect.walk import Walks
from oda.core.reading import MAX_TIME, Reading, RejectedError, epoch_ms
from oda.errors import UserError
from oda.kafka.topics import create_topics
from oda.say import say
from oda.web.tokens import tokens_of_file
from oda.web.where import Where

app = typer.Typer(help="Collect readings from a source into Kafka.", no_args_is_help=True)


HISTORY_MS = 10.0
"""From one reading of a series to its next in a walk without a rate, ms."""

DAY_MS = 86_400_000

SLOWEST, FASTEST = 0.001, 1_000_000
"""What --rate and --speed may be, besides 0."""

SPOOLS = Path(".oda/spool")
"""Where the spools are, unless --spool says otherwise: each source's is named after it."""

SpoolFolder = Annotated[
    Path | None, typer.Option("--spool", help="Where readings wait for Kafka.", show_default=f"{SPOOLS}/SOURCE")
]
SpoolMaxMb = Annotated[int, typer.Option("--spool-max-mb", min=4, help="The size at which it is full.")]
Unit = Annotated[
    TimeUnit | None,
    typer.Option("--time-unit", help="What a time that is a number counts.", show_default="ms, none before 1980"),
]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="collect")


@app.command()
def walk(
    ctx: typer.Context,
    series: Annotated[int, typer.Option(min=1, help="How many series: walk-0, walk-1, ...")] = 1,
    rate: Annotated[float, typer.Option(min=0, help="Readings a second, of all series; 0: as many as can be.")] = 100.0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many readings.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same walk.")] = None,
    spikes: Annotated[int, typer.Option(min=0, help="Displace one reading in this many by 1000; 0: none.")] = 0,
    start: Annotated[str | None, typer.Option(help="With --rate 0: the time of the first reading.")] = None,
) -> None:
    """Random walks, the source of the naive producer; until Ctrl-C unless told when to stop.

    With --rate 0 the readings of a series are 10 ms apart and of the past:
    they end now if --count is given, else they start a day ago. Where they
    reach the present, they go on at its pace.

    Examples:

        oda collect walk

        oda collect walk --series 10 --spikes 500 --seconds 60

        oda collect walk --series 100 --rate 0 --count 1000000 --seed 1
    """
    if rate and not SLOWEST <= rate <= FASTEST:
        raise UserError(f"--rate must be 0, or from {SLOWEST:g} to {FASTEST}, not {rate:g}")
    began = _began(rate, start)
    producer = _producer(ctx)
    interval = 1000 / rate if rate else HISTORY_MS / series
    if began is None:
        began = _now() if rate else max(0, _now() - (math.ceil(count * interval) if count else DAY_MS))
    readings = Walks(series, began, interval, seed, spikes).readings()
    collect(((float(reading.time), reading) for reading in islice(readings, count)), producer, seconds)


@app.command("demo")
def kinds(
    ctx: typer.Context,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same readings.")] = None,
) -> None:
    """The five series of `oda demo`, each with a trouble of its own; until Ctrl-C unless told when to stop.

    Spikes in a walk, a day without its noon, a sensor that repeats itself, one that
    is silent, a level that drifts; docs/demo.yaml has rules for them.

    Example: oda collect demo
    """
    producer = _producer(ctx)
    collect(((float(reading.time), reading) for reading in of_each_kind(_now(), seed)), producer, seconds)


@app.command("csv")
def csv_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file with a header row.")],
    time_column: Annotated[str, typer.Option(help="Numbers, RFC 3339 or YYYY-MM-DD HH:MM:SS (UTC).")] = "timestamp",
    value_column: Annotated[str, typer.Option(help="The numbers.")] = "value",
    series: Annotated[str | None, typer.Option(help="The series' name.", show_default="the file's name")] = None,
    series_column: Annotated[str | None, typer.Option(help="The column that names each row's series.")] = None,
    speed: Annotated[str, typer.Option(help="1: as recorded; 60: sixty times as fast; 0 or max: no waiting.")] = "max",
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="A reading's time becomes the moment it is sent.")
    ] = False,
    longest_pause: Annotated[
        float, typer.Option(min=0, help="With --speed: no pause is longer than this, seconds.")
    ] = 3600.0,
    time_unit: Unit = None,
    delimiter: Annotated[str, typer.Option(help="What separates the fields: one character, or \\t.")] = ",",
) -> None:
    """Replays the recorded readings of a CSV file; rows that are none are reported and left out.

    The exit code is 0 if each row is in Kafka, 1 if some were left out.

    Examples:

        oda collect csv pumps.csv --time-column t --value-column bar --series-column pump

        oda collect csv events.csv --time-unit s

        oda collect csv nyc_taxi.csv --speed 3600 --shift-to-now     (a reading each half hour: now each half second)

    Without --speed, windows are of recorded time: nyc_taxi.csv has one reading in
    each of its windows of 2 s, and none is judged. Let oda.window.size_ms be a day.
    """
    if series is not None and series_column is not None:
        raise UserError("give either --series or --series-column")
    pace = _speed(speed)
    if shift_to_now and pace is None:
        raise UserError("--shift-to-now needs a pace: give --speed, such as --speed 1")
    columns = csvfile.Columns(time_column, value_column, series or file.stem, series_column)
    context: Context = ctx.obj
    settings = context.settings()
    # What is shifted may be recorded at any time.
    check = Check(MAX_TIME if shift_to_now else settings.readings.max_ahead_ms, time_unit)
    bad, late = BadRows(str(file)), Late(settings.window)
    with _opened(file) as lines:
        rows = csvfile.read(lines, columns, lambda row: check.one(row, _now()), bad, character(delimiter))
        replay = Replay(_now(), pace, shift_to_now, longest_pause * 1000, _cut)
        producer = _producer(ctx)
        try:
            collect(late.passing(replay.schedule(rows)), producer)
        finally:
            bad.summarise()
            _tell(late)
    if bad.count:
        raise typer.Exit(1)


@app.command()
def stdin(
    ctx: typer.Context, spool: SpoolFolder = None, spool_max_mb: SpoolMaxMb = 1024, time_unit: Unit = None
) -> None:
    """Takes a reading from each line of stdin; a line that is none is reported and left out.

    A line looks like {"series": "pump-7", "time": 1732300000123, "value": 3.25};
    time may also be RFC 3339. While Kafka is away readings wait in the spool, on
    disk; when that is full, the writer of the pipe waits. At the end of stdin it
    waits until Kafka has all of them; after Ctrl-C the next start sends the rest.
    The exit code is 0 if each line is in Kafka, 1 if some were left out.

    Examples:

        tail -F readings.ndjson | oda collect stdin

        oda collect stdin --spool /var/spool/oda --spool-max-mb 8192 < readings.ndjson
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    read = read_stdin()
    context: Context = ctx.obj
    late = Late(context.settings().window)
    with _intake(ctx, "stdin", spool, spool_max_mb, time_unit) as taken:
        try:
            collect_lines(read, taken, late)
            taken.sender.drain()
        finally:
            _tell(late)
    if taken.rejected:
        raise typer.Exit(1)


@app.command()
def http(
    ctx: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8088,
    token_file: TokenFile = None,
    certificate: Certificate = None,
    key: Key = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Let other machines in without tokens and TLS: all may send."),
    ] = False,
    spool: SpoolFolder = None,
    spool_max_mb: SpoolMaxMb = 1024,
    time_unit: Unit = None,
) -> None:
    """Takes readings that are sent to POST /readings, until Ctrl-C.

    One reading, a JSON array of them, or one a line. The answer is 200 when they
    are on disk, whether Kafka is there or not; 400 when one of them is no reading
    (then none is taken; with ?partial=1 the others are, and the answer is 200);
    413 beyond 1 MiB; 401 without a token, where there are some; 429 and 503 while it
    holds all that it can, such as a full spool. GET /health says how many wait.

    Examples:

        oda collect http

        curl -d '{"series": "pump-7", "time": 1732300000123, "value": 3.25}' localhost:8088/readings

        curl --data-binary @readings.ndjson 'localhost:8088/readings?partial=1'

        oda collect http --host 0.0.0.0 --token-file tokens --certificate cert.pem --key key.pem
    """
    where = Where(host, port, certificate, key, tokens_of_file(token_file) if token_file else None)
    if not insecure:
        where.check()
    with _intake(ctx, "http", spool, spool_max_mb, time_unit) as taken:
        asyncio.run(serve(taken, where))
        raise KeyboardInterrupt


@app.command()
def socketio(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="The Socket.IO server, such as http://localhost:5000")],
    event: Annotated[str, typer.Option(help="The event whose payload is a reading, or a list of them.")] = "reading",
    series: Annotated[
        str | None, typer.Option(help="Take bare numbers too: of this series, of when they come.", show_default=False)
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="Who may sign its certificate: a PEM file.", show_default="whom the system trusts"),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that it wants. Read anew for each connection.")
    ] = None,
    spool: SpoolFolder = None,
    spool_max_mb: SpoolMaxMb = 1024,
    time_unit: Unit = None,
) -> None:
    """Takes the readings that a Socket.IO server emits, until Ctrl-C.

    If the server wants an event acknowledged, it is when its readings are on disk,
    whether Kafka is there or not. While the spool is full it is disconnected.

    Examples:

        oda collect socketio http://localhost:5000

        oda collect socketio https://example.org --event temperature --ca ca.pem --token-file token

        oda collect socketio http://localhost:5000 --event walk --series walk
    """
    upstream = Upstream(url, ca, token_file)
    upstream.check()
    with _intake(ctx, "socketio", spool, spool_max_mb, time_unit) as taken:
        asyncio.run(subscribe(taken, upstream, event, series))
        raise KeyboardInterrupt


def _intake(
    ctx: typer.Context, source: str, spool: Path | None, max_mb: int, unit: TimeUnit | None
) -> AbstractContextManager[Intake]:
    context: Context = ctx.obj
    return intake(context.settings(), spool or SPOOLS / source, max_mb * 2**20, unit)


def _opened(file: Path) -> TextIO:
    try:
        # a byte that is not UTF-8 makes its row a bad one, and does not end the file
        return file.open(newline="", encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None


def _cut(reading: Reading, pause: float) -> None:
    time = datetime.fromtimestamp(reading.time / 1000, UTC)
    recorded = timedelta(seconds=round(pause / 1000))
    say(f"{recorded} until the reading of {time:%Y-%m-%d %H:%M:%S} is due: cut to --longest-pause")


def _tell(late: Late) -> None:
    if late.count:
        say(str(late))


def _producer(ctx: typer.Context) -> Producer:
    context: Context = ctx.obj
    kafka = context.settings().kafka
    create_topics(kafka, kafka.readings)
    return Producer(kafka, kafka.readings)


def _now() -> int:
    return int(time.time() * 1000)


def _began(rate: float, start: str | None) -> int | None:
    """The time that --start asks for, epoch ms."""
    if start is None:
        return None
    if rate:
        raise UserError("--start goes with --rate 0 only: at a rate, readings are of now")
    try:
        began = epoch_ms(parse_time(start))
    except (ValueError, RejectedError) as error:
        raise UserError(f"--start: {error}") from None
    if not 0 <= began <= _now():
        raise UserError(f"--start must be between 1970 and now, not {start}")
    return began


def _speed(text: str) -> float | None:
    """How many times as fast as recorded; None is without waiting."""
    try:
        speed = 0.0 if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if speed and not SLOWEST <= speed <= FASTEST:
        raise UserError(f"--speed must be 0, max, or a number from {SLOWEST:g} to {FASTEST}, not {text!r}")
    return speed or None
