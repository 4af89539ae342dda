"""How far the topology has come in the log, in offsets and in seconds, and what it rejected."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kafka import TopicPartition

from oda.kafka import client
from oda.kafka.reader import partitions
from oda.kafka.records import lean
from oda.query.feed import now_ms
from oda.settings import Kafka, Settings

_RATE_SECONDS = 60.0

_FIRST_SECONDS = 1.0
"""How long the first records that wait are waited for."""

MOST_REJECTED = 2_000
"""The newest rejected messages are kept."""

_MOST_KEY, _MOST_VALUE = 256, 2_048
"""Bytes of them."""

_MOST_REASONS = 50


class Position(NamedTuple):
    """Of one partition of a log.

    `end` is where the log ends, `committed` up to where all is in the stores, `lag` what lies between; `lag_seconds`
    how long ago the first of that came (0 if there is none, None if it can't be read); `rate` in records per second of
    the last minute. `commit_age_seconds` is for how long nothing has been committed, though there is something to be.
    """

    partition: int
    end: int
    committed: int
    lag: int
    lag_seconds: float | None
    rate: float
    commit_age_seconds: float


class RejectedMessage(NamedTuple):
    """One that is no reading, by its place in the readings; key and value are cut."""

    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None


class Positions:
    """Asks Kafka. For one thread. Raises UserError or kafka.errors.KafkaError: it does not answer.

    Args:
        topic: the log, of readings or of members.
    """

    def __init__(self, kafka: Kafka, topic: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kafka = kafka
        self._topic = topic
        self._monotonic = monotonic
        self._consumer: Any = None
        self._ends: deque[tuple[float, dict[int, int]]] = deque()
        self._moved: dict[int, tuple[int, float]] = {}

    def ask(self) -> list[Position]:
        """Where each partition is now."""
        with client.explained(self._kafka):
            try:
                consumer = self._open()
                parts = partitions(consumer, self._topic)
                ends = {part.partition: int(end) for part, end in consumer.end_offsets(parts).items()}
                committed = {part.partition: int(consumer.committed(part) or 0) for part in parts}
                waiting = {number: at for number, at in committed.items() if at < ends[number]}
                came = self._first_came(consumer, waiting)
            except BaseException:
                self.close()
                raise
        now, wall = self._monotonic(), now_ms()
        rates = self._rates(now, ends)
        found = []
        for number in sorted(ends):
            lag = max(0, ends[number] - committed[number])
            seconds = max(0.0, (wall - came[number]) / 1000) if number in came else 0.0 if not lag else None
            age = self._commit_age(number, committed[number], lag, now)
            found.append(
                Position(number, ends[number], committed[number], lag, seconds, round(rates[number], 3), round(age, 3))
            )
        return found

    def close(self) -> None:
        """Let go of the connection; another `ask` makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False)

    def _open(self) -> Any:
        if self._consumer is None:
            self._consumer = lean(
                client.consumer(
                    self._kafka,
                    group_id=self._kafka.group,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",  # what retention has taken can't be looked at
                    max_partition_fetch_bytes=1,  # one batch of records
                    metadata_max_age_ms=10_000,
                )
            )
        return self._consumer

    def _first_came(self, consumer: Any, waiting: Mapping[int, int]) -> dict[int, int]:
        """When the broker took the first record that waits, epoch ms, by partition: of those that can be read."""
        left = {TopicPartition(self._topic, number): at for number, at in waiting.items()}
        found: dict[int, int] = {}
        consumer.assign(list(left))
        for part, at in left.items():
            consumer.seek(part, at)
            consumer.resume(part)  # one that was assigned before is still paused
        deadline = time.monotonic() + _FIRST_SECONDS
        while left and time.monotonic() < deadline:
            for part, records in consumer.poll(200).items():
                if left.pop(part, None) is not None:
                    found[part.partition] = records[0].timestamp
                    consumer.pause(part)
        return found

    def _rates(self, now: float, ends: dict[int, int]) -> dict[int, float]:
        self._ends.append((now, ends))
        while len(self._ends) > 2 and self._ends[1][0] <= now - _RATE_SECONDS:
            self._ends.popleft()
        then, before = self._ends[0]
        seconds = now - then
        return {number: (end - before.get(number, end)) / seconds if seconds else 0.0 for number, end in ends.items()}

    def _commit_age(self, number: int, committed: int, lag: int, now: float) -> float:
        at, since = self._moved.get(number, (-1, now))
        if committed != at or not lag:
            since = now
        self._moved[number] = committed, since
        return now - since


class RejectedMessages(NamedTuple):
    """How many there are in their topic, the newest of them, newest first, and of these how many have each reason."""

    total: int
    newest: list[RejectedMessage]
    by_reason: list[tuple[str, int]]


class RejectedLog:
    """Follows the topic of rejected messages. For one thread. Raises as `Positions` does."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._consumer: Any = None
        self._newest: deque[RejectedMessage] = deque(maxlen=MOST_REJECTED)
        self._at: dict[TopicPartition, int] = {}

    def ask(self) -> RejectedMessages:
        """As of now; of a flood it reads some at a time."""
        with client.explained(self._kafka):
            try:
                if self._consumer is None:
                    self._consumer = client.consumer(
                        self._kafka, auto_offset_reset="earliest", max_poll_records=MOST_REJECTED
                    )
                consumer = self._consumer
                parts = partitions(consumer, self._kafka.rejected)
                starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
                consumer.assign(parts)
                for part in parts:
                    consumer.seek(part, max(starts[part], ends[part] - MOST_REJECTED, self._at.get(part, 0)))
                deadline = time.monotonic() + _FIRST_SECONDS
                while time.monotonic() < deadline and any(consumer.position(part) < ends[part] for part in parts):
                    for records in consumer.poll(200).values():
                        self._newest.extend(map(_rejected, records))
                self._at = {part: consumer.position(part) for part in parts}
            except BaseException:
                self.close()
                raise
        reasons = Counter(general(message.reason) for message in self._newest)
        total = sum(ends[part] - starts[part] for part in parts)
        return RejectedMessages(total, list(self._newest)[::-1], reasons.most_common(_MOST_REASONS))

    def close(self) -> None:
        """Let go of the connection; another `ask` makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()


def _rejected(record: Any) -> RejectedMessage:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}

    def number(name: str) -> int:
        text = headers.get(name, "")
        return int(text) if text.isdecimal() and len(text) < 20 else -1

    return RejectedMessage(
        number("oda.partition"),
        number("oda.offset"),
        headers.get("oda.reason", ""),
        record.key and record.key[:_MOST_KEY],
        record.value and record.value[:_MOST_VALUE],
    )


_PARTICULAR = re.compile(r"-?\d[\d.e+-]*|'[^']*'")


def general(reason: str) -> str:
    """A reason without what is particular to its message.

    >>> general("time 1396310400 is in January 1970 as epoch ms: seconds? (oda collect --time-unit s)")
    'time … is in January … as epoch ms'
    """
    head = reason.partition(": seconds?")[0]
    return _PARTICULAR.sub("…", head)[:120]


def shown(data: bytes | None) -> str | None:
    r"""Bytes as text for people: what is no UTF-8, or would not be seen, as escapes.

    >>> shown(b'{"series": "\xff\x00 pump"}')
    '{"series": "\\xff\\x00 pump"}'
    """
    if data is None:
        return None
    text = data.decode("utf-8", errors="backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
