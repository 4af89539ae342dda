"""Who is asked who leads, and how many must answer."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from oda.kafka import leaders

RULES = TopicPartition("rules", 0)


class Consumer:
    """Knows of a partition on some brokers; `away` are those that do not answer, and with what error."""

    def __init__(self, replicas: list[int], away: dict[int, KafkaError]) -> None:
        self.away = away
        self.asked: list[int] = []
        self.took: list[int] = []
        known = {"rules": {0: SimpleNamespace(replica_nodes=replicas)}} if replicas else {}
        self._cluster = SimpleNamespace(
            _partitions=known, metadata_request=lambda: "who leads?", update_metadata=self.took.append
        )
        self._manager = SimpleNamespace(cluster=self._cluster, send=self.send, wait_for=self.wait_for)
        self._net = SimpleNamespace(run=run)

    def send(self, request: str, node: int) -> int:
        assert request == "who leads?"
        self.asked.append(node)
        return node

    async def wait_for(self, node: int, _ms: int) -> int:
        if node in self.away:
            raise self.away[node]
        return node


def run(coroutine: Callable[..., Any], *args: Any) -> None:
    with pytest.raises(StopIteration):
        coroutine(*args).send(None)


@pytest.mark.parametrize(
    ("replicas", "away", "asked", "took"),
    [
        ([1], [], [1], [1]),
        ([3, 1, 2], [], [3, 1], [3, 1]),
        ([3, 1, 2], [1], [3, 1, 2], [3, 2]),
        ([2, 1], [], [2, 1], [2, 1]),
    ],
)
def test_more_than_half_of_those_that_hold_it_are_asked(
    replicas: list[int], away: list[int], asked: list[int], took: list[int]
) -> None:
    consumer = Consumer(replicas, dict.fromkeys(away, KafkaTimeoutError()))
    leaders.ask_replicas(consumer, RULES)
    assert (consumer.asked, consumer.took) == (asked, took)


@pytest.mark.parametrize(("replicas", "away"), [([1], [1]), ([2, 1], [2]), ([3, 1, 2], [3, 2]), ([], [])])
def test_if_only_half_of_them_answer_nobody_can_be_sure(replicas: list[int], away: list[int]) -> None:
    consumer = Consumer(replicas, dict.fromkeys(away, KafkaConnectionError("no route")))
    said = f"partition 0 is told by {len(replicas) - len(away)} of the {len(replicas)} brokers"
    with pytest.raises(KafkaError, match=said):
        leaders.ask_replicas(consumer, RULES)
