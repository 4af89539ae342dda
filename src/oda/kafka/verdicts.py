"""Writes into the topic of verdicts."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from oda.kafka import client
from oda.settings import Kafka
from oda.verdicts import Verdict


class VerdictWriter:
    """Connects when there is something to write. Safe for threads."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Any = None

    def write(self, verdict: Verdict) -> None:
        """Returns when the brokers have acknowledged it. Raises UserError: they do not."""
        with self._lock, client.explained(self._settings):
            if self._producer is None:
                self._producer = client.producer(self._settings)
            value = msgspec.json.encode(verdict)
            self._producer.send(self._settings.verdicts, value, key=verdict.place.encode(), partition=0).get(timeout=30)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)
