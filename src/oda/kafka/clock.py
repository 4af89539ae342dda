"""Clock records into the log: what the window bolts see of silence (see `oda.core.clock`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oda.core.clock import KEY, encode
from oda.kafka import client
from oda.settings import Kafka


class ClockWriter:
    """Writes clock records. A failed call may be repeated: a record that is there twice closes nothing more."""

    def __init__(self, settings: Kafka) -> None:
        self._group = settings.group
        self._topic = settings.readings
        # Not idempotent: that can't go on after some errors, and a repeated record is as good.
        self._producer = client.producer(settings, enable_idempotence=False)

    def write(self, partition: int, position: int, through: Mapping[str, int], ended: Sequence[str]) -> None:
        """Write what closes these windows and ends these series; returns when the brokers have acknowledged it.

        Args:
            partition: of the readings.
            position: up to which it had been read when silence was seen.
            through: of each silent series the start of the last window that is over, epoch ms.
            ended: names of series that have been silent for very long.

        Raises:
            kafka.errors.KafkaError: it was not acknowledged.
        """
        sent = [
            self._producer.send(self._topic, value, key=KEY, partition=partition)
            for value in encode(self._group, position, through, ended)
        ]
        self._producer.flush()
        for future in sent:
            future.get()
