"""What receivers have refused, where it can be found again: a topic beside that of the incidents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from oda.errors import UserError
from oda.kafka import client
from oda.kafka.reader import read_to_end, reader
from oda.kafka.topics import create_topic, list_topics
from oda.settings import Kafka


class Refusal(msgspec.Struct, frozen=True):
    """One notification that a receiver refused, and when (epoch ms)."""

    receiver: str
    reason: str
    time: int
    notification: dict[str, Any]


def topic(settings: Kafka) -> str:
    """Its name."""
    return f"{settings.incidents}.refused"


class Refusals:
    """Writes them. Not safe for threads."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._producer: Any = None

    def keep(self, receiver: str, reason: str, notification: dict[str, Any]) -> None:
        """Returns when it is durable. Raises UserError or kafka.errors.KafkaError: try again."""
        if self._producer is None:
            _make(self._settings)
            self._producer = client.producer(self._settings)
        refusal = Refusal(receiver, reason, round(time.time() * 1000), notification)
        key, value = receiver.encode(), msgspec.json.encode(refusal)
        self._producer.send(topic(self._settings), key=key, value=value).get()

    def close(self) -> None:
        """Let go of the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=0)


def refusals(settings: Kafka) -> Iterator[Refusal]:
    """All there are. Raises UserError when Kafka can't be reached."""
    if topic(settings) not in list_topics(settings):
        return
    with reader(settings, [topic(settings)], from_beginning=True) as consumer:
        for _, records in read_to_end(consumer):
            for record in records:
                yield msgspec.json.decode(record.value, type=Refusal)


def _make(settings: Kafka) -> None:
    name = topic(settings)
    if name in list_topics(settings):
        return
    try:
        create_topic(settings, name, 1, settings.replication)
    except UserError:
        if name not in list_topics(settings):  # else another receiver's courier was faster
            raise
