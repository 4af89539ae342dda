"""Results as Kafka has them, decoded, and each once: for whoever reads them.

A replay repeats messages; those that have the same place in the log are the same result.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Iterator
from math import inf
from typing import Any

from oda.core.kinds import FINDINGS, Anomaly, Bounds, ClosedWindow, Incident, Kind, Located
from oda.kafka.reader import follow, reader
from oda.settings import Kafka

MEMORY = 100_000
"""How many results are remembered, so that one that is repeated is told once."""

AnyResult = Located[ClosedWindow] | Located[Anomaly] | Located[Incident] | Located[Bounds]


class Seen:
    """A bounded memory: forgets the oldest beyond `limit`.

    >>> seen = Seen(limit=2)
    >>> [seen.is_new(key) for key in "aabcab"]
    [True, False, True, True, True, True]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def is_new(self, key: Hashable) -> bool:
        """Whether `key` is not remembered; it is from now on."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True


class Results:
    """The results of some series, or of all if none is named.

    Args:
        settings: where they are.
        series: whose.
        kinds: which.

    Attributes:
        unreadable: how many messages held no result.
    """

    def __init__(self, settings: Kafka, series: Collection[str] = (), kinds: Iterable[Kind[Any]] = FINDINGS) -> None:
        self.unreadable = 0
        self._settings = settings
        self._kinds: dict[str, Kind[Any]] = {getattr(settings, kind.name): kind for kind in kinds}
        self._series = frozenset(series)
        self._seen = Seen(MEMORY)

    def read(self, from_beginning: bool, deadline: float = inf) -> Iterator[AnyResult]:
        """Each as it comes, until `deadline` of the monotonic clock.

        Raises:
            UserError: Kafka can't be reached, or a topic doesn't exist.
        """
        with reader(self._settings, list(self._kinds), from_beginning) as consumer:
            for part, records in follow(consumer, deadline):
                for record in records:
                    result = self.take(part.topic, record.value)
                    if result is not None:
                        yield result

    def take(self, topic: str, data: bytes | None) -> AnyResult | None:
        """What a message of one of the topics tells; None if that is nothing, or was told before."""
        kind = self._kinds[topic]
        try:
            result: AnyResult = kind.located(data)
        except ValueError:
            self.unreadable += 1
            return None
        if self._series and result.row.series not in self._series:
            return None
        place = (kind.name, kind.place(kind.document(*result)))
        return result if self._seen.is_new(place) else None
