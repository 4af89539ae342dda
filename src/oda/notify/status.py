"""How far each receiver is, as Kafka knows it: it can be asked anywhere, and when `oda notify run` does not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from kafka import TopicPartition

from oda.kafka import client
from oda.kafka.reader import partitions
from oda.notify.file import File
from oda.notify.log import committed_at, group, noted
from oda.notify.refusals import Refusal, refusals
from oda.settings import Kafka


class Status(NamedTuple):
    """Of one receiver.

    Attributes:
        is_known: whether it was ever started.
        waiting: how many messages of the topic it is behind.
        oldest: when the oldest of these came, epoch ms; None if none waits.
        away: why it takes nothing; "" if it does.
        suppressed: of how many incidents it was not told, as those of groups suppress them.
        standstill: since when ODA stands still, as it was told, epoch ms; None if it was not.
        refused: what it refused, oldest first.
    """

    receiver: str
    is_known: bool
    waiting: int
    oldest: int | None
    away: str
    suppressed: int
    standstill: int | None
    refused: list[Refusal]


def status(settings: Kafka, file: File) -> Iterator[Status]:
    """Of each receiver of a file. Raises UserError when Kafka can't be reached, or has no such topic."""
    refused = list(refusals(settings))
    for receiver in file.receivers:
        ours = [one for one in refused if one.receiver == receiver.name]
        options = {"group_id": group(settings, receiver.name), "enable_auto_commit": False, "max_poll_records": 1}
        consumer = client.consumer(settings, auto_offset_reset="earliest", **options)
        with closing(consumer), client.explained(settings):
            parts = partitions(consumer, settings.incidents)
            committed = {part: found for part in parts if (found := committed_at(consumer, part))}
            note = noted(*committed.values())
            behind = {part: committed[part].offset for part in committed}
            ends = consumer.end_offsets(parts)
            waiting = {part: ends[part] - start for part, start in behind.items() if start < ends[part]}
            oldest = min((_time(consumer, part, behind[part]) for part in waiting), default=None)
            since = note.standstill.since if note.standstill and note.is_told else None
            yield Status(
                receiver.name, bool(committed), sum(waiting.values()), oldest, note.away, note.suppressed, since, ours
            )


def _time(consumer: Any, part: TopicPartition, offset: int) -> int:
    """When the record at an offset came."""
    consumer.assign([part])
    consumer.seek(part, offset)
    while True:
        for records in consumer.poll(1000).values():
            return int(records[0].timestamp)
