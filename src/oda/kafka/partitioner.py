"""Which partition a key belongs to: Kafka's own choice, its hash remembered."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kafka.partitioner import DefaultPartitioner, murmur2


class RememberingPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """In Python the hash is a fifth of what sending a message costs."""

    def partition(self, topic: str, key: Any, key_bytes: bytes | None, *rest: Any) -> int:
        """Called by KafkaProducer for each message; one without a key goes anywhere."""
        if key_bytes is None:
            return int(super().partition(topic, key, key_bytes, *rest))
        partitions = sorted(rest[-1].partitions_for_topic(topic))
        return int(partitions[_hash(key_bytes) % len(partitions)])


@lru_cache(2**18)  # with more series than it holds, ones that take turns would never be found in it
def _hash(key: bytes) -> int:
    return int(murmur2(key) & 0x7FFFFFFF)
