"""How many requests an endpoint reads at once: what is read is in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 64
"""Requests at once."""

MOST_OF_ONE = 16
"""Of one client, which is told apart by its token."""


class Busy(Exception):  # noqa: N818 - what it is, not what is wrong
    """One more request is not read now; the text says why."""


class TooMany(Busy):
    """It is this client that has too many."""


class Admission:
    """Counts the requests that are read."""

    def __init__(self) -> None:
        self._by_client: Counter[str] = Counter()

    @contextmanager
    def of(self, client: str | None) -> Iterator[None]:
        """While one is read; None is of nobody in particular. Raises Busy."""
        if client is not None and self._by_client[client] >= MOST_OF_ONE:
            raise TooMany(f"{client} has {MOST_OF_ONE} requests under way: wait for an answer to one of them")
        if self._by_client.total() >= MOST:
            raise Busy(f"{MOST} requests are under way, which is all that this collector takes at once")
        key = client or ""
        self._by_client[key] += 1
        try:
            yield
        finally:
            self._by_client[key] -= 1
            self._by_client += Counter()  # forgets those that have none
