"""All couriers of a file, until the end."""

from __future__ import annotations

import signal
import threading

from oda.notify.courier import Courier, Service
from oda.notify.file import File
from oda.notify.watch import Watch
from oda.query.rules import RulesBook
from oda.say import say
from oda.settings import Settings
from oda.supervised import heartbeat, tell

_LAST_SECONDS = 15.0
"""How long a delivery that has begun may take at the end; what it brings then is brought again at the next start."""


def run(settings: Settings, file: File) -> None:
    """Tell all receivers what happens, until Ctrl-C or SIGTERM. Kafka may come later, and go in between."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    watch = Watch(settings.kafka, file.standstill.after, say)
    service = Service(settings.kafka, file, RulesBook(settings), watch, stopping)
    couriers = [Courier(service, receiver) for receiver in file.receivers]
    # Daemons, as kafka-python may wait for a broker that is away; nothing is lost by their end.
    threads = [threading.Thread(target=courier.run, daemon=True) for courier in couriers]
    watch.start()
    for thread in threads:
        thread.start()
    say(f"{len(threads)} receivers are told of incidents, until Ctrl-C")
    tell("READY=1")
    while not stopping.wait(heartbeat()):
        if all(thread.is_alive() for thread in threads):
            tell("WATCHDOG=1")
    tell("STOPPING=1")
    for thread in threads:
        thread.join(_LAST_SECONDS)
