"""Messages into Kafka, each accounted for: sent, then acknowledged by every in-sync replica.

Knows one topic and bytes; knows nothing of readings.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from math import inf
from typing import Any, Self

from kafka.errors import KafkaError, KafkaTimeoutError

from oda.collect.fate import Fate
from oda.errors import UserError
from oda.kafka import client
from oda.settings import Kafka

MAX_PENDING = 10_000
"""Most messages that are sent and not acknowledged; `send` blocks beyond. They are the memory used."""


LOOK = 1.0
"""How often a wait is interrupted to see whether the topic is still there, seconds."""

GRACE = 30.0
"""How long `close` waits for Kafka to acknowledge what was sent, seconds."""


class Producer:
    """Sends messages to one topic, in order per key, and counts what Kafka acknowledged.

    While Kafka is away it retries without end, and `send` blocks once `MAX_PENDING` messages wait:
    a source is held up, never dropped from. Idempotent, so that a retry is not written twice. When the topic is
    deleted, or made anew, it gives up.

        with Producer(settings.kafka, "readings") as producer:
            producer.send(b'{"series": ...}', key=b"pump-7")

    Attributes:
        sent: messages given to `send`.
        acknowledged: how many of them are known to be in Kafka, the first ones; all, when the `with`
            ends without an error.
        positions: by partition, the position after the last one that was acknowledged.
    """

    def __init__(self, settings: Kafka, topic: str) -> None:
        """Connect. Raises UserError when Kafka can't be reached."""
        self.sent = 0
        self.acknowledged = 0
        self.positions: dict[int, int] = {}
        self._settings, self._brokers = settings, settings.brokers
        self._topic = topic
        self._pending: deque[Any] = deque()
        self._client = client.producer(
            settings,
            enable_idempotence=True,
            delivery_timeout_ms=inf,
            max_block_ms=int(LOOK * 1000),
            metadata_max_age_ms=10_000,
            linger_ms=5,
            batch_size=128 * 1024,
            allow_auto_create_topics=False,
        )
        self._fate = Fate(topic, self._client._metadata)
        with suppress(KafkaError):
            self._client.partitions_for(topic)  # from now on it is among those that are followed

    def send(self, value: bytes, key: bytes | None = None, headers: list[tuple[str, bytes]] | None = None) -> None:
        """Send one message; blocks while too many are pending.

        Raises:
            UserError: Kafka refuses a message for good (too large, not allowed), or the topic is gone.
        """
        while len(self._pending) >= MAX_PENDING:
            self._settle(inf)
        self._pending.append(self._append(value, key, headers))
        self.sent += 1
        self._settle_done()

    def settle(self, timeout: float) -> None:
        """Wait for the oldest pending message, if any, at most `timeout` seconds, and count what is acknowledged.

        Raises:
            UserError: Kafka refuses a message for good, or the topic is gone.
        """
        self._check_topic()
        with suppress(KafkaTimeoutError):
            if self._pending:
                self._settle(timeout)
        self._settle_done()

    def _append(self, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]] | None) -> Any:
        while True:
            self._check_topic()
            try:
                return self._client.send(self._topic, value, key=key, headers=headers)
            except KafkaTimeoutError:  # a broker is away and the topic's leaders are unknown: nothing was appended
                continue
            except (TypeError, ValueError):  # what it knew of the topic's partitions went while it chose one
                if self._client._metadata.partitions_for_topic(self._topic):
                    raise
            except KafkaError as error:
                raise self._refused(error) from None

    def _settle_done(self) -> None:
        while self._pending and self._pending[0].is_done:
            self._settle(0)

    def _settle(self, timeout: float) -> None:
        """Wait for the oldest pending message, at most `timeout` seconds (then KafkaTimeoutError)."""
        place = self._place(time.monotonic() + timeout)
        self._pending.popleft()
        self.acknowledged += 1
        self.positions[place.partition] = max(place.offset + 1, self.positions.get(place.partition, 0))

    def _place(self, deadline: float) -> Any:
        """Where the oldest pending message is in the topic."""
        while True:
            try:
                return self._pending[0].get(min(LOOK, max(0.0, deadline - time.monotonic())))
            except KafkaTimeoutError:
                self._check_topic()
                if time.monotonic() >= deadline:
                    raise
            except KafkaError as error:
                raise self._refused(error) from None

    def _check_topic(self) -> None:
        if fate := self._fate.what:
            raise UserError(
                f"the topic {self._topic} {fate}: of {self.sent} messages Kafka at oda.kafka.brokers = {self._brokers} "
                f"had acknowledged {self.acknowledged}, which may be gone with it"
            )

    def _refused(self, error: KafkaError) -> UserError:
        why = client.said(self._settings, error)
        return UserError(f"Kafka at oda.kafka.brokers = {self._brokers} refused a message for {self._topic}: {why}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, timeout: float = GRACE) -> None:
        """Wait until all is acknowledged, at most `timeout` seconds, and disconnect.

        Raises:
            UserError: Kafka refused a message, or did not acknowledge all in time, or the topic is gone.
        """
        deadline = time.monotonic() + timeout
        try:
            while self._pending:
                self._settle(max(0.0, deadline - time.monotonic()))
        except KafkaTimeoutError:
            raise UserError(
                f"Kafka at oda.kafka.brokers = {self._brokers} did not acknowledge {len(self._pending)} messages "
                f"for {self._topic} within {timeout:g} s: it may have them, or not"
            ) from None
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._pending:  # close() alone would raise, leave its thread running, and do it again at exit
            self._client._sender.force_close()
            self._client._sender.join(5)
        self._client.close(timeout=5)
