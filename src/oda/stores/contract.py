"""What a store is: the few verbs that the sinks, the audit, readers and benchmarks know it by (docs/stores.md).

A store is constructed with the settings. That opens a connection and changes nothing; only `migrate`, `write` and
`drop` do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from oda.core.batch import Batch
from oda.core.groups.telling import Quiet, Said
from oda.core.kinds import Document, Kind
from oda.stores.archive import Packed
from oda.stores.place import SLOT_MS


class Rows(NamedTuple):
    """Rows of one kind of one partition; `clock` is the spout's when it read what they come of, epoch ms."""

    kind: Kind[Any]
    partition: int
    clock: int
    rows: Sequence[Any]


Item = Rows | Batch | Said | Quiet
"""What a sink writes: rows, or a whole batch of readings; Kafka's also what groups are to know."""


class Part(NamedTuple):
    """A part of what a store holds, for an audit that goes on where another ended.

    Attributes:
        slots: of the rows' times (see `oda.stores.place`).
        written: when they were written at the earliest, epoch ms.
    """

    slots: frozenset[int]
    written: int

    def spans(self) -> list[tuple[int, int]]:
        """The times that are meant, epoch ms: `since <= time < until`, ascending, as few as can be.

        >>> Part(frozenset({0, 1, 3}), 0).spans()
        [(0, 1200000), (1800000, 2400000)]
        """
        spans: list[tuple[int, int]] = []
        for slot in sorted(self.slots):
            since, until = slot * SLOT_MS, (slot + 1) * SLOT_MS
            if spans and spans[-1][1] == since:
                spans[-1] = spans[-1][0], until
            else:
                spans.append((since, until))
        return spans


Found = Iterator[tuple[Hashable, Document]]
"""Rows with their identities."""


class Store(Protocol):
    """A place where results are kept.

    Attributes:
        notes: what of the settings it does not follow, for the log; known after `migrate`.

    Raises:
        oda.errors.UserError: it can't be reached, when it is constructed or in any method.
    """

    notes: Sequence[str]

    def migrate(self) -> None:
        """Make what is missing to hold the rows, and add the fields that are new. May be repeated.

        Raises:
            oda.errors.Refused: what is there is another thing, or may not be altered; the text names the way out.
        """

    def write(self, items: Sequence[Item]) -> None:
        """Write rows of the streams that it takes; returns when they are durable. May be repeated, whole or in part.

        A row that is written again, later, with other fields (the settings have changed) replaces the former one.

        Raises:
            oda.errors.Refused: it will never take one of them as it is now; the text is the store's own.
            Exception: anything else may pass: the call is repeated.
        """

    def rows(self, kind: Kind[Any], part: Part | None = None) -> Found:
        """All that it holds of one topic's rows, for the audit; of a part that at least, if it is quicker.

        The identity of a row is `kind.place(row)` if it stands where a reader looks for it, and anything else if not.
        """

    def recent(self, kind: Kind[Any], series: str, since: int, until: int) -> Iterable[Document]:
        """One series' rows with `since <= time < until` (epoch ms), by time, each once."""

    def drop(self) -> None:
        """Delete all that `migrate` made."""

    def close(self) -> None:
        """Let go of the connections."""


class Archive(Store, Protocol):
    """A store that also takes whole batches of readings."""

    def readings(self, part: Part | None = None) -> Iterator[Packed]:
        """All packed rows that it holds, for the audit; of a part that at least."""
