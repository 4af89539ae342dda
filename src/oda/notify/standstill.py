"""Whether ODA itself stands still: readings wait, and what is committed does not move. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from oda.notify.file import Standstill
from oda.notify.notification import Look


class Part(NamedTuple):
    """A partition of the readings: how far the topology has come, and where the log ends."""

    committed: int
    end: int


class Found(msgspec.Struct, frozen=True):
    """A standstill.

    Attributes:
        at: where it stands, as text: the same again for whoever looks later.
        seconds: how long there has been no progress.
        waiting: readings that wait there; None if Kafka does not tell.
    """

    at: str
    seconds: float
    waiting: int | None


class Progress:
    """What was seen of it, by some clock that only goes forward (seconds).

    >>> progress = Progress(after=60, now=0)
    >>> progress.look({0: Part(5, 9), 1: Part(7, 7)}, now=1)
    >>> progress.look({0: Part(5, 12), 1: Part(7, 7)}, now=60)
    >>> progress.standstill(now=60), progress.is_known
    (None, False)
    >>> progress.look({0: Part(5, 13), 1: Part(7, 7)}, now=61)
    >>> progress.standstill(now=61)
    Found(at='0@5', seconds=60, waiting=8)
    >>> progress.look({0: Part(6, 13), 1: Part(7, 7)}, now=62)
    >>> progress.standstill(now=62), progress.is_known
    (None, True)
    >>> progress.standstill(now=200)
    Found(at='Kafka@0@6,1@7', seconds=138, waiting=None)
    """

    def __init__(self, after: float, now: float) -> None:
        self._after = after
        self._looked = now
        self._parts: Mapping[int, Part] = {}
        self._moved: dict[int, float] = {}
        self._known: set[int] = set()

    @property
    def is_known(self) -> bool:
        """Whether each partition was seen to get on, or to have nothing that waits.

        One that was never may have stood still for long: whoever was told that before must not be told that it is over.
        """
        return bool(self._parts) and self._known >= self._parts.keys()

    def look(self, parts: Mapping[int, Part], now: float) -> None:
        """Take note of how far it is."""
        for number, part in parts.items():
            before = self._parts.get(number)
            if part.committed >= part.end or (before and part.committed != before.committed):
                self._known.add(number)
                self._moved[number] = now
            self._moved.setdefault(number, now)
        self._parts, self._looked = parts, now

    def standstill(self, now: float) -> Found | None:
        """What stands still; None if nothing does. Kafka that does not answer is one, too."""
        if now - self._looked >= self._after:
            return Found(f"Kafka@{self._places(self._parts)}", now - self._looked, None)
        stuck = [number for number in self._parts if self._looked - self._moved[number] >= self._after]
        if not stuck:
            return None
        waiting = sum(self._parts[number].end - self._parts[number].committed for number in stuck)
        return Found(self._places(stuck), self._looked - min(self._moved[number] for number in stuck), waiting)

    def _places(self, numbers: Sequence[int] | Mapping[int, Part]) -> str:
        return ",".join(f"{number}@{self._parts[number].committed}" for number in sorted(numbers))


class Told(msgspec.Struct, frozen=True):
    """Of a standstill what must be known to tell later that it is over: its place, since when (epoch ms), how many."""

    place: str
    since: int
    waiting: int | None


@dataclass(frozen=True)
class StandstillChange:
    """A standstill that began, or is over (`until`, epoch ms); see `oda.notify.notification.Notification`."""

    told: Told
    topic: str
    severity: str
    labels: Mapping[str, str]
    until: int | None = None

    alert = "OdaStopped"

    @property
    def place(self) -> str:
        return self.told.place

    @property
    def number(self) -> int:
        return 0 if self.until is None else 1

    @property
    def change(self) -> Literal["opened", "escalated", "resolved"]:
        return "opened" if self.until is None else "resolved"

    @property
    def since(self) -> int:
        return self.told.since

    @property
    def names(self) -> Mapping[str, str]:
        return {"topic": self.topic}

    @property
    def headline(self) -> str:
        return f"ODA stands still: {self._why}"

    @property
    def _why(self) -> str:
        if self.told.waiting is None:
            return "Kafka does not answer"
        return f"{self.told.waiting:,} readings of topic {self.topic} wait, and nothing is committed"

    def facts(self, look: Look) -> Sequence[tuple[str, str]]:
        return [
            ("meanwhile", "no anomaly and no incident is found" if self.until is None else ""),
            ("since", look.time(self.since)),
            ("resolved", look.time(self.until) if self.until else ""),
            ("look at", "oda status; Storm's UI; the logs of Kafka and of the stores" if self.until is None else ""),
        ]

    def link(self, look: Look) -> str:
        return look.pipeline()

    def numbers(self) -> Mapping[str, Any]:
        return {"waiting": self.told.waiting}


class Standing:
    """What one receiver knows of standstills: one begins, and is over.

    A place that changes meanwhile is none of news: it moved a little, and stands still again.
    """

    def __init__(self, settings: Standstill, topic: str) -> None:
        self.current: StandstillChange | None = None
        self._settings = settings
        self._topic = topic

    def resume(self, told: Told) -> StandstillChange:
        """One that the receiver was told of in a former run."""
        self.current = self._change(told)
        return self.current

    def look(self, found: Found | None, now: int) -> StandstillChange | None:
        """What is to be told at a time (epoch ms)."""
        if self.current and not found:
            over = self._change(self.current.told, until=now)
            self.current = None
            return over
        if found and not self.current:
            since = now - round(found.seconds * 1000)
            self.current = self._change(Told(f"{self._topic}:standstill:{found.at}", since, found.waiting))
            return self.current
        return None

    def _change(self, told: Told, until: int | None = None) -> StandstillChange:
        return StandstillChange(told, self._topic, self._settings.severity, self._settings.labels, until)
