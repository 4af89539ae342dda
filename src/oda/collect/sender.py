"""Keeps a spool's messages going into Kafka, whether Kafka is there or not. Knows of errors and of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Self

from oda.collect.delivered import delivered
from oda.collect.producer import Producer
from oda.collect.pump import Pump
from oda.collect.spool import Spool, SpoolError
from oda.errors import UserError
from oda.kafka.topics import create_topics, require_topic
from oda.settings import Kafka

STALLED = 5.0
"""Without an acknowledgement for so long, seconds, Kafka is taken to be away."""

RETRY = 1.0
"""From an error to the next try, seconds."""

LAST = 3.0
"""How long the end waits for a Kafka that is there, seconds; what is left then is sent at the next start."""


class Sender:
    """A thread that sends what comes into a spool, for as long as the `with` lasts.

        with Sender(spool, settings.kafka, print) as sender:
            spool.append([...])
            sender.drain()

    Attributes:
        away: why nothing gets into Kafka just now; "" when it does.
    """

    def __init__(self, spool: Spool, settings: Kafka, say: Callable[[str], None]) -> None:
        self.away = "not yet connected"
        self._said = False
        self._made = False
        self._spool = spool
        self._settings = settings
        self._say = say
        self._stopping = threading.Event()
        # A daemon, because kafka-python may wait a minute for a broker that is away; nothing is lost by its end.
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def drain(self) -> None:
        """Wait until Kafka has all that is in the spool, however long it is away."""
        self._drain(inf, patient=True)

    def _drain(self, seconds: float, patient: bool) -> None:
        deadline = time.monotonic() + seconds
        while len(self._spool) and self._thread.is_alive() and (patient or not self.away):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._drain(LAST, patient=False)
        finally:
            self._stopping.set()
            self._thread.join(1 if self.away else 2 * LAST)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect_and_send()
            except (UserError, SpoolError) as error:
                self._is_away(str(error))
            except Exception as error:  # nothing may end this thread: it is said, what waits is safe, and the next try
                self._is_away(f"sending to Kafka failed: {error!r}")
            self._stopping.wait(RETRY)

    def _connect_and_send(self) -> None:
        # Only once: who deletes the topic meanwhile decides how it is made anew.
        if self._made:
            require_topic(self._settings, self._settings.readings)
        else:
            create_topics(self._settings, self._settings.readings)
            self._made = True
        found = delivered(self._settings, self._spool)
        producer = Producer(self._settings, self._settings.readings)
        pump = Pump(self._spool, producer, found)
        try:
            self._send(pump)
        finally:
            with suppress(UserError):  # what was not acknowledged is still in the spool
                producer.close(0 if self.away else LAST)
            pump.drop()

    def _send(self, pump: Pump) -> None:
        heard = time.monotonic()
        while not self._stopping.is_set():
            if pump.step() or not pump.waits:
                heard = time.monotonic()
                self._is_back()
            elif time.monotonic() - heard > STALLED:
                self._is_away(f"Kafka at oda.kafka.brokers = {self._settings.brokers} takes no readings")

    def _is_away(self, reason: str) -> None:
        if reason != self.away and not self._stopping.is_set():
            self._say(f"{reason}; meanwhile readings are kept in {self._spool.folder}")
            self._said = True
        self.away = reason

    def _is_back(self) -> None:
        if self._said:
            self._say("Kafka takes readings again")
        self.away, self._said = "", False
