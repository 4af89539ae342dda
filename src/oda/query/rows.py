"""Rows of one series from a store, of however long a span, some slots of time after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import msgspec

from oda.core.kinds import Document, Kind, Located
from oda.stores.place import SLOT_MS

Row = TypeVar("Row", bound=msgspec.Struct)

_SLOTS_AT_ONCE = 288


class Recent(Protocol):
    """What is needed of a store."""

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterable[Document]:
        """See `oda.stores.contract.Store`."""


def rows(store: Recent, kind: Kind[Row], series: str, since: int, until: int) -> Iterator[Located[Row]]:
    """Those with `since <= time < until` (epoch ms), by time. Raises UserError when the store can't be reached."""
    for start, end in parts(since, until):
        for document in store.recent(kind, series, start, end):
            fields = {field.name: document[field.name] for field in kind.fields if field.name in document}
            yield Located(document["topic"], document["partition"], kind.row(**fields))


def parts(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Spans of whole slots that cover one: no more at once than are asked for side by side.

    >>> list(parts(5, 2 * 288 * 600_000))
    [(5, 172800000), (172800000, 345600000)]
    """
    while since < until:
        end = min(until, (since // SLOT_MS + _SLOTS_AT_ONCE) * SLOT_MS)
        yield since, end
        since = end
