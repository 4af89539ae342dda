"""How many buckets of series Cassandra needs, so that its partitions stay small."""

from __future__ import annotations

from math import ceil

from oda.plan.demand import Demand
from oda.settings import Cassandra
from oda.stores.place import SLOT_MS

MOST_BYTES = 100e6
"""Of a partition of Cassandra's, which it reads and compacts as a whole."""

ROW_BYTES = 120.0
"""Of a closed window, 118 of which were measured with names of 10 characters; more than what a row of packed readings
has besides them, 51. As Cassandra counts a partition, not compressed."""

READING_BYTES = 20.0
"""Of a packed reading."""

FLUSHES_A_SECOND = 5.0
"""The Cassandra sink lets tuples wait for each other for a fifth of a second."""

MIN_BUCKETS: int = Cassandra.model_fields["buckets"].default
"""Few enough for rows to share mutations, and many enough for most."""


def buckets(demand: Demand) -> int:
    """How many keep Cassandra's partitions small, if no series has a large share of the readings.

    Of the three tables `readings` has the largest: each series has a row in each flush that has readings of it. They
    are planned for half full, as series are not dealt evenly.

    >>> buckets(Demand(series=100_000, rate=100_000, days=30)), buckets(Demand(series=100, rate=100_000, days=30))
    (168, 64)
    """
    rows = min(demand.rate, demand.series * FLUSHES_A_SECOND)
    slot_bytes = (rows * ROW_BYTES + demand.rate * READING_BYTES) * SLOT_MS / 1000
    return max(MIN_BUCKETS, ceil(2 * slot_bytes / MOST_BYTES))
