"""Whether a topic is still the one that a producer began to send to."""

from __future__ import annotations

import time
from math import inf
from typing import Any
from uuid import UUID

UNKNOWN = 10.0
"""A topic that the brokers don't know for so long, seconds, is gone; one that was just started may lag behind."""


class Fate:
    """Follows what the brokers say of one topic.

    Args:
        name: the topic's.
        cluster: kafka-python's metadata, which tells us of each refresh.
    """

    def __init__(self, name: str, cluster: Any) -> None:
        self._name = name
        self._id: UUID | None = None
        self._is_another = False
        self._unknown_since = inf
        cluster.add_listener(self._refreshed)

    def _refreshed(self, cluster: Any) -> None:
        """Called by kafka-python's thread."""
        if cluster.partitions_for_topic(self._name) is None:
            self._unknown_since = min(self._unknown_since, time.monotonic())
            return
        self._unknown_since = inf
        found = cluster.topic_id(self._name)  # None from brokers before Kafka 2.8
        self._id = self._id or found
        self._is_another = self._is_another or found != self._id

    @property
    def what(self) -> str:
        """What became of it; "" when it is still there."""
        if self._is_another:
            return "was deleted, and made anew"
        return "is not there any more" if time.monotonic() - self._unknown_since > UNKNOWN else ""
