"""What one receiver has been told, and what it has yet to be told. Pure.

Of each incident only the newest change counts, and one notification says it all. So what is kept for a receiver that
is away grows with the number of incidents, and not with time: one that opens and is resolved meanwhile is one
notification. Beyond `MOST_DUE` of them the log is not read on, and the rest waits in Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kafka import TopicPartition

from oda.notify.notification import Due, Notification

MOST_DUE = 10_000
"""Incidents that wait in memory: 12 MiB, by `tracemalloc`."""


class _Waiting(NamedTuple):
    """The newest change of an incident, and where the log has the first one that is not told yet; None if nowhere."""

    now: Notification
    part: TopicPartition | None
    offset: int


class Mailbox:
    """One receiver's; `is_for` says whether a notification is for it.

    Who was told of an incident is told what becomes of it, even when that is for others by its severity of then.
    """

    def __init__(self, is_for: Callable[[Notification], bool], most: int = MOST_DUE) -> None:
        self._is_for = is_for
        self._most = most
        self._told: dict[str, Notification] = {}
        self._waiting: dict[str, _Waiting] = {}  # in the order of their newest changes

    @property
    def is_full(self) -> bool:
        """Whether no more should be taken for now."""
        return len(self._waiting) >= self._most

    @property
    def waiting(self) -> int:
        """How many are due."""
        return len(self._waiting)

    def know(self, now: Notification) -> None:
        """Something that it was told in a former run."""
        if self.is_wanted(now):
            self._note(now)

    def take(self, now: Notification, part: TopicPartition | None = None, offset: int = 0) -> None:
        """Something that happened, and where the log says so: each change once, those of an incident in order."""
        if not self.is_wanted(now):
            return
        before = self._waiting.pop(now.place, None)
        if before:
            part, offset = before.part, before.offset
        self._waiting[now.place] = _Waiting(now, part, offset)

    def due(self, most: int) -> list[Due]:
        """The first ones that it is to be told."""
        return [Due(one.now, self._told.get(place)) for place, one in list(self._waiting.items())[:most]]

    def open(self) -> list[Due]:
        """What it was told, and lasts."""
        return [Due(now, now) for place, now in self._told.items() if place not in self._waiting]

    def untold(self) -> list[tuple[Notification, TopicPartition | None, int]]:
        """What waits of incidents that it has not been told of, each as it was taken."""
        return [(*one,) for place, one in self._waiting.items() if place not in self._told]

    def withdraw(self, place: str) -> None:
        """Of an incident it is not to be told for now."""
        del self._waiting[place]

    def waits(self, place: str) -> bool:
        """Whether something of an incident is due."""
        return place in self._waiting

    def was_told(self, place: str) -> bool:
        """Whether it knows of an incident that lasts, or has not been told yet that it is over."""
        return place in self._told

    def done(self, due: Due, is_refused: bool = False) -> None:
        """It was told; or it refused, and is not told again."""
        self._waiting.pop(due.now.place, None)
        if is_refused:
            self._told.pop(due.now.place, None)
        else:
            self._note(due.now)

    def committable(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Up to which offsets all is done, when the log was read up to `positions`."""
        found = dict(positions)
        for one in self._waiting.values():
            if one.part in found:
                found[one.part] = min(found[one.part], one.offset)
        return found

    def is_wanted(self, now: Notification) -> bool:
        """Whether it is to be told: by its route, or as it was told of the incident before."""
        return now.place in self._told or now.place in self._waiting or self._is_for(now)

    def _note(self, now: Notification) -> None:
        if now.change == "resolved":
            self._told.pop(now.place, None)
        else:
            self._told[now.place] = now
