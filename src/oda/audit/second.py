"""Where the audit reads the second log, that of members, and what came of it in the first. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from oda.audit.comparison import Comparison
from oda.audit.expected import Expected
from oda.audit.message import DERIVED_KEY, read_derived_record
from oda.audit.sources import Log
from oda.settings import Settings


def groups_compared(settings: Settings, log: Log, expected: Expected, ends: Mapping[int, int]) -> list[Comparison]:
    """What is wrong with members and derived readings; nothing to say where there never were groups.

    Args:
        settings: of the topology.
        log: of readings, and of members.
        expected: what comes of the readings, from their beginning.
        ends: up to where, by partition.

    Raises:
        UserError: Kafka can't be reached, or the beginning of the log of members is gone.
    """
    members = expected.members
    topic = settings.kafka.members
    # Meanwhile it goes on. What of the members is committed was published before; what is published came of members
    # that were there before: so first how much of them is committed, then where readings end, then where members do.
    committed = log.positions(topic).committed
    readings = log.positions()
    for partition, end in log.positions(topic).ends.items():
        members.read(partition, log.records(partition, 0, end, topic), committed.get(partition, 0))
    if members.has_made_any:
        # Perhaps behind what of the readings is committed.
        for partition, end in (readings.ends | readings.held).items():
            for record in log.records(partition, ends.get(partition, 0), end):
                found = read_derived_record(record.value) if record.key == DERIVED_KEY else None
                if found is not None and found.group == settings.kafka.group:
                    members.derived(partition, record.offset, found.reading)
    compared = members.compared(ends)
    return compared if any(result.expected or result.found or result.faults for result in compared) else []
