"""Where a row stands in Cassandra: in a bucket of series, in a slot of time. Pure.

What costs in Cassandra is the mutation, one for each partition that is written to. Were a series a partition, sparse
series would have one for nearly every row; those of a bucket share it.
"""

from __future__ import annotations

from zlib import crc32

SLOT_MS = 600_000
"""Ten minutes: the rows of a bucket in a slot are one partition of Cassandra's, which is to stay below 100 MB.

`oda plan` says how many buckets that takes.
"""


def bucket_of(series: str, buckets: int) -> int:
    """Of `buckets`.

    >>> [bucket_of(series, 64) for series in ("pump-7", "pump-8")]
    [51, 34]
    """
    return crc32(series.encode()) % buckets


def slot_of(time: int) -> int:
    """Of a time in epoch ms."""
    return time // SLOT_MS
