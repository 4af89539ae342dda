"""What the benchmarks' commands have in common: how they show what they do, and a topology to look at."""

from __future__ import annotations

import time

from rich.console import Console
from rich.status import Status

from oda.chaos.system import System
from oda.cli.context import Context
from oda.cli.servers import local_cluster
from oda.settings import Settings
from oda.storm.topologies import Storm

console = Console()

SERIES = [100, 10_000]
"""How many, if nobody says: of a load that is dense, and of one that is sparse."""


def tell(status: Status, what: str) -> None:
    """Say it, with the time, and that it is being done."""
    console.print(f"{time.strftime('%H:%M:%S')}  {what}", highlight=False)
    status.update(what)


def system_of(context: Context, storm: Storm, settings: Settings) -> System:
    """A topology on the local cluster, with its processes and servers."""
    return System(local_cluster(context, console), storm, settings, settings.kafka.group)
