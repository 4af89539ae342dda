"""Which messages of a spool are in Kafka already, although the spool still holds them.

A collector that is killed between Kafka's acknowledgement and the spool's `drop` leaves such messages. Each
carries its spool's id and its number, so that they can be told by reading the end of the topic.
"""

from __future__ import annotations

from oda.collect.spool import Spool
from oda.kafka.client import topic_id
from oda.kafka.reader import read_to_end, reader
from oda.settings import Kafka

HEADER = "oda.spool"
"""Name of the header that `mark` is the value of."""

AWAY_SECONDS = 10.0
"""A Kafka that gives nothing for so long is away."""


def mark(spool: bytes, number: int) -> bytes:
    """What tells one message of one spool: its id, and the number in 8 bytes."""
    return spool + number.to_bytes(8)


def delivered(settings: Kafka, spool: Spool) -> set[int]:
    """Numbers of the spool's messages that the topic of readings has; the spool then knows where to look next time.

    Looks from the spool's positions on; if it never sent anything, nowhere; and if the topic was made anew since,
    from its beginning.

    Raises:
        UserError: Kafka can't be reached, or stopped answering.
        SpoolError: the spool's disk fails.
    """
    found: set[int] = set()
    # What is delivered but stands behind somebody's open transaction would be sent again. The spool makes none itself.
    with reader(settings, [settings.readings], from_beginning=True, isolation_level="read_uncommitted") as consumer:
        log = getattr(topic_id(consumer, settings.readings), "bytes", b"")  # none before Kafka 2.8
        ends = consumer.end_offsets(consumer.assignment())
        if not spool.positions:
            spool.follow(log, {place.partition: end for place, end in ends.items()})
            return found
        positions = spool.positions if spool.log in (log, b"") else {}
        for place, end in ends.items():
            position = positions.get(place.partition, 0)
            consumer.seek(place, position if position <= end else 0)  # beyond it: of a topic that was made anew since
        for _, records in read_to_end(consumer, ends, AWAY_SECONDS):
            marks = (value for record in records for key, value in record.headers if key == HEADER)
            found.update(int.from_bytes(value[len(spool.id) :]) for value in marks if value.startswith(spool.id))
        spool.follow(log, {place.partition: positions.get(place.partition, 0) for place in ends})
    return found
