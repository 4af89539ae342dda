"""Derived readings into the log: what the groups bolts made of members' windows (see `oda.core.groups.derived`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oda.core.groups.derived import KEY, encode
from oda.core.groups.merging import Derived
from oda.kafka import client
from oda.settings import Kafka


class DerivedWriter:
    """Writes derived readings. A failed call may be repeated: what is there twice counts once."""

    def __init__(self, settings: Kafka) -> None:
        self._group = settings.group
        self._topic = settings.readings
        # Not idempotent: that can't go on after some errors, and a repeated record is as good.
        self._producer = client.producer(settings, enable_idempotence=False)

    def write(self, rows: Sequence[Derived]) -> None:
        """Write readings, each group's in order; returns when the brokers have acknowledged all.

        Raises:
            kafka.errors.KafkaError: some were not acknowledged.
        """
        for round_ in rounds(rows):
            sent = [
                self._producer.send(
                    self._topic, encode(self._group, row.series, row.time, row.value), key=KEY, partition=row.partition
                )
                for row in round_
            ]
            self._producer.flush()
            for future in sent:
                future.get()


def rounds(rows: Sequence[Derived]) -> Iterator[list[Derived]]:
    """Rows such that none has two of one group: each round is acknowledged before the next begins."""
    rest = list(rows)
    while rest:
        first: dict[str, Derived] = {}
        later = [row for row in rest if first.setdefault(row.series, row) is not row]
        yield list(first.values())
        rest = later
