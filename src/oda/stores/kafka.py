"""Kafka, for later stages: results and rejected messages, keyed by series.

Results are JSON, at least once: a replay repeats a row as it was, and its place in the log (topic,
partition and `first_offset` or `offset`) tells that it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from kafka import KafkaProducer

from oda.core.rows import Anomaly, ClosedWindow, Rejected
from oda.kafka import RememberingPartitioner, connect
from oda.settings import Kafka

_MAX_REQUEST_BYTES = 4 * 1024 * 1024  # a rejected original of the broker's 1 MiB, and its headers


class KafkaWriter:
    """Writes results and rejected messages. A failed call may be repeated whole."""

    def __init__(self, config: Kafka) -> None:
        self._config = config
        self._producer = connect(
            KafkaProducer,
            config,
            acks="all",
            enable_idempotence=True,
            max_request_size=_MAX_REQUEST_BYTES,
            # `flush` does not wait for it; without it the sender is woken for nearly every row.
            linger_ms=1_000,
            batch_size=128 * 1024,
            metrics_enabled=False,
            partitioner=RememberingPartitioner(),
        )
        self._sent: list[Any] = []

    def windows(self, partition: int, rows: Iterable[ClosedWindow]) -> None:
        """Send closed windows."""
        self._send_rows(self._config.windows, partition, rows)

    def anomalies(self, partition: int, rows: Iterable[Anomaly]) -> None:
        """Send anomalies."""
        self._send_rows(self._config.anomalies, partition, rows)

    def rejected(self, partition: int, messages: Iterable[Rejected]) -> None:
        """Send rejected messages as they came, with their origin and the reason as headers."""
        for message in messages:
            headers = {
                "oda.reason": message.reason,
                "oda.topic": self._config.readings,
                "oda.partition": str(partition),
                "oda.offset": str(message.offset),
            }
            encoded = [(name, text.encode()) for name, text in headers.items()]
            # kafka-python refuses to send neither key nor value.
            value = b"" if message.key is None and message.value is None else message.value
            self._send(self._config.rejected, message.key, value, encoded)

    def flush(self) -> None:
        """Return when the brokers have acknowledged all that was sent.

        Raises:
            kafka.errors.KafkaError: one of them was not.
        """
        sent, self._sent = self._sent, []
        self._producer.flush()
        for future in sent:
            future.get()

    def _send_rows(self, topic: str, partition: int, rows: Iterable[ClosedWindow | Anomaly]) -> None:
        for row in rows:
            fields = {"topic": self._config.readings, "partition": partition, **msgspec.structs.asdict(row)}
            self._send(topic, row.series.encode(), msgspec.json.encode(fields), [])

    def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self._sent.append(self._producer.send(topic, key=key, value=value, headers=headers))
