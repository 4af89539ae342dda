"""Values as CQL's native protocol has them.

The driver would do that from Python values, too, at four times the cost: most of what a row costs the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any

from cassandra.query import BoundStatement, PreparedStatement

Pack = Callable[[Any], bytes]

int_: Pack = Struct(">i").pack
bigint: Pack = Struct(">q").pack

PACK: dict[str, Pack] = {
    "int": int_,
    "bigint": bigint,
    "timestamp": bigint,  # of epoch ms
    "double": Struct(">d").pack,
    "text": str.encode,
}
"""By the name of the type in CQL."""

_NULL = int_(-1)


def user_type(packs: Iterable[Pack], values: Iterable[Any]) -> bytes:
    """A value of a user type, whose fields are packed so; None for those that have none."""
    parts = []
    for pack, value in zip(packs, values, strict=True):
        if value is None:
            parts.append(_NULL)
        else:
            cell = pack(value)
            parts += (int_(len(cell)), cell)
    return b"".join(parts)


def bound(statement: PreparedStatement, cells: list[bytes]) -> BoundStatement:
    """A statement with its values."""
    found = BoundStatement(statement)
    found.values = cells
    return found
