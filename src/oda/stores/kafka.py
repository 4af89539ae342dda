"""Kafka, for later stages: results and rejected messages, keyed by series.

Results are JSON, at least once: a replay repeats a row as it was, and its place in the log (topic,
partition and `first_offset` or `offset`) tells that it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from kafka.errors import MessageSizeTooLargeError

from oda.core.rows import Anomaly, ClosedWindow, Rejected
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.topics import check_topics, find_topics
from oda.settings import Kafka

_MAX_REQUEST_BYTES = 4 * 1024 * 1024  # a rejected original of the broker's 1 MiB, and its headers

_BATCH_BYTES = 128 * 1024

_OVERHEAD_BYTES = 200
"""What Kafka adds to a message with a few headers, at most."""

CUT = "; this copy is cut, the topic takes no more"
"""The end of the reason of a message that is not here as a whole."""


class KafkaWriter:
    """Writes results and rejected messages. After a call that failed it is to be closed; another may repeat it whole.

    Attributes:
        notes: what of the settings the topics do not follow, for the log.

    Raises:
        UserError: Kafka can't be reached, or a topic takes no message at all.
    """

    def __init__(self, config: Kafka) -> None:
        self._config = config
        topics = find_topics(config)
        self.notes = check_topics(topics, config)
        self._topics = {topic.name: topic for topic in topics}
        self._producer = client.producer(
            config,
            enable_idempotence=True,
            max_request_size=_MAX_REQUEST_BYTES,
            # `flush` does not wait for it; without it the sender is woken for nearly every row.
            linger_ms=1_000,
            # A topic's limit is one of batches: what is written together has to fit, too.
            batch_size=min(_BATCH_BYTES, *(topic.limit for topic in topics)),
        )
        self._sent: list[tuple[str, Any]] = []

    def close(self) -> None:
        """Let go of the connections, and of what is not sent: after some errors an idempotent producer sends none."""
        self._producer.close(timeout=0)

    def windows(self, partition: int, rows: Iterable[ClosedWindow]) -> None:
        """Send closed windows."""
        self._send_rows(self._config.windows, partition, rows)

    def anomalies(self, partition: int, rows: Iterable[Anomaly]) -> None:
        """Send anomalies."""
        self._send_rows(self._config.anomalies, partition, rows)

    def rejected(self, partition: int, messages: Iterable[Rejected]) -> None:
        """Send rejected messages as they came, with their origin and the reason as headers.

        Of one that is too large for the topic, as much as that takes.
        """
        topic = self._topics[self._config.rejected]
        for message in messages:
            origin = {"oda.topic": self._config.readings, "oda.partition": partition, "oda.offset": message.offset}
            headers = [(name, str(value).encode()) for name, value in origin.items()]
            key, value, reason = _fitted(message, topic.limit - sum(map(_size, headers)))
            # kafka-python refuses to send neither key nor value, and a compacted topic takes nothing without a key.
            if key is None and topic.compacted:
                key = b""
            value = b"" if key is None and value is None else value
            self._send(topic.name, key, value, [("oda.reason", reason), *headers])

    def flush(self) -> None:
        """Return when the brokers have acknowledged all that was sent.

        Raises:
            kafka.errors.KafkaError: one of them was not.
            UserError: the topic does not take so large a message.
        """
        sent, self._sent = self._sent, []
        self._producer.flush()
        for topic, future in sent:
            try:
                future.get()
            except MessageSizeTooLargeError:
                raise UserError(
                    f"topic {topic} takes no message of more than {self._topics[topic].limit} bytes, and a larger one "
                    "is to be written. Raise its max.message.bytes; Kafka's own is 1048588."
                ) from None

    def _send_rows(self, topic: str, partition: int, rows: Iterable[ClosedWindow | Anomaly]) -> None:
        for row in rows:
            fields = {"topic": self._config.readings, "partition": partition, **msgspec.structs.asdict(row)}
            self._send(topic, row.series.encode(), msgspec.json.encode(fields), [])

    def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self._sent.append((topic, self._producer.send(topic, key=key, value=value, headers=headers)))


def _fitted(message: Rejected, room: int) -> tuple[bytes | None, bytes | None, bytes]:
    """Key, value and reason of a rejected message, in no more than `room` bytes."""
    key, value, reason = message.key, message.value, message.reason.encode()
    room -= _OVERHEAD_BYTES + len(reason)
    if len(key or b"") + len(value or b"") <= room:
        return key, value, reason
    room = max(0, room - len(CUT))
    key = key and key[: room // 2]
    return key, value and value[: room - len(key or b"")], reason + CUT.encode()


def _size(header: tuple[str, bytes]) -> int:
    return len(header[0]) + len(header[1])
