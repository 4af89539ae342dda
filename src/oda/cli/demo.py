"""`oda demo`: the main job, from nothing: servers, topology, series with a trouble each, and the page on them."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from math import inf
from typing import Annotated
from urllib.parse import urlencode

import requests
import typer
from rich.console import Console

from oda.cli import servers
from oda.cli.context import Context
from oda.cli.hints import Hints
from oda.cli.rules import from_file
from oda.cli.serve import PORT
from oda.cli.watch import Watcher
from oda.collect.kinds import SERIES
from oda.core.kinds import INCIDENTS, Incident
from oda.errors import UserError
from oda.kafka import client
from oda.kafka import rules as rules_topic
from oda.kafka.group import Group
from oda.kafka.topics import create_topics
from oda.paths import BIN, ROOT
from oda.results import Results
from oda.settings import Settings
from oda.storm.topologies import TOPOLOGY, Storm

RULES = ROOT / "docs" / "demo.yaml"

_PAGE_SECONDS = 120.0
"""How long the page may take to answer."""

_TOPOLOGY_SECONDS = 600.0
"""How long the topology may take to work: much may be in the log, and the machine may be busy."""

NEXT = {
    "demo/walk": "a spike, far from what the window before allows. Try `why` beside it on the page, or `oda why`",
    "demo/stuck": "a sensor that repeats itself. Try, on the page, Incidents: acknowledge it, or call it a false alarm",
    "demo/silent": "a sensor that is silent: the clock notices. Try the page's Pipeline: how far behind is each part?",
    "demo/drift": f"a level that moves. Try other rules: change {RULES.relative_to(ROOT)}, then `oda rules apply` it",
    "demo/season": "a day without its noon. Try a file of your own: `oda try FILE --page page.html`",
}
"""By series, what happened and what to try next, told with its first incident."""


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    ctx: typer.Context,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after this time; else at Ctrl-C.")] = None,
) -> None:
    """Start the cluster and the topology if they are not running, and show what is found in five series, as a page.

    Each series has a trouble of its own, and an incident within a minute or so; with
    the first of each comes what to try next. The readings and the page end with the
    command; the cluster and the topology go on running until `oda down`.

    Examples:

        oda demo

        oda demo --seconds 60
    """
    context: Context = ctx.obj
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    servers.up(ctx)
    settings = context.settings()
    create_topics(settings.kafka)
    storm = Storm(context.config, context.env)
    _apply_rules(settings, console)
    if storm.api.topology_id(TOPOLOGY) is None:
        with console.status("submitting the topology"):
            storm.submit(TOPOLOGY)
            _wait_for_topology(settings)
    with ExitStack() as started:
        with console.status("starting the page"):
            address = started.enter_context(_page(context))
        started.enter_context(_running(context, ["collect", "demo"]))
        _tell(address, console)
        with console.status("waiting for the first incident"):
            _follow(settings, console, seconds)


def _apply_rules(settings: Settings, console: Console) -> None:
    """The demo's, unless somebody has applied others."""
    newest = rules_topic.RulesTopic(settings.kafka).newest()
    if newest is None:
        rules_topic.apply(settings.kafka, from_file(RULES, settings).text)
    elif SERIES[0] not in newest.text:
        console.print(f"Rules are applied already, and stay; those of the demo's series are in {RULES}.", markup=False)


def _wait_for_topology(settings: Settings) -> None:
    """Until it has stored all that is in the log: it works, and the demo's rules hold."""
    deadline = time.monotonic() + _TOPOLOGY_SECONDS
    with closing(Group(settings.kafka)) as group, client.explained(settings.kafka):
        ends = group.ends()
        while any(offset < ends.get(part, 0) for part, offset in group.committed().items()):
            if time.monotonic() > deadline:
                raise UserError("the topology was submitted, but does not come forward; the Storm UI may say why")
            time.sleep(0.5)


def _tell(address: str, console: Console) -> None:
    page = f"{address}#/series?{urlencode([*(('name', name) for name in SERIES), ('live', 120_000)])}"
    console.print(f"The page: {page}", markup=False, style="bold")
    console.print("Five series, each with a trouble of its own; the first incident takes 20 s. Ctrl-C ends it.")
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):  # else it might be a browser in this terminal
        webbrowser.open(page)


def _follow(settings: Settings, console: Console, seconds: float | None) -> None:
    """Print incidents as they change, and with the first of each series what to try next."""
    watcher = Watcher(Hints(settings.judge.min_count, console.print))
    deadline, told = inf if seconds is None else time.monotonic() + seconds, set[str]()
    try:
        for result in Results(settings.kafka, SERIES, [INCIDENTS]).read(False, deadline):
            console.print(watcher.line(result))
            row = result.row
            if isinstance(row, Incident) and row.series not in told:
                told.add(row.series)
                console.print(f"  → {NEXT[row.series]}", markup=False)
    finally:
        console.print(
            f"{watcher.counts.incidents} incidents. Try next: `oda verify`, which audits all that was stored; "
            "`oda serve`, the page on all series; `oda down`, which ends the cluster."
        )


@contextmanager
def _page(context: Context) -> Iterator[str]:
    """The address of an `oda serve`, once it answers."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}/"
    command = ["serve", "--port", str(port)]
    with tempfile.TemporaryFile("w+") as said, _running(context, command, said.fileno()) as server:
        deadline = time.monotonic() + _PAGE_SECONDS
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                said.seek(0)
                raise UserError(f"oda serve did not start: {said.read().strip() or 'no answer'}")
            time.sleep(0.2)
        yield address


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}health", timeout=5).ok
    except requests.RequestException:
        return False


def _free_port() -> int:
    """The usual one, or another if somebody has that."""
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError("no port is free on this machine")


@contextmanager
def _running(
    context: Context, command: Sequence[str], output: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A command of its own, as it would be in earnest; it ends with this one, and not by its Ctrl-C."""
    process = subprocess.Popen(
        [BIN / "oda", "--config", str(context.config), "--env", context.env, *command],
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
