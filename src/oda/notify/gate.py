"""Between the log of incidents and a receiver's mailbox: what an incident of a group suppresses is not told. Pure.

What comes takes one of three ways:

- At once into the mailbox: what nothing can suppress, and what becomes of an incident that was told or is about to be.
- It waits, since its group's incident opens later: the group's window closes later. Then it is told.
- It is held while an incident of one of its groups lasts, if that opens in time: while it waits, or still is in the
  mailbox of a receiver that is away. When that is over it is told, if it lasts itself; one that is resolved meanwhile
  is never told.

Only incidents that the receiver is told of suppress others for it.

What is held is kept nowhere. A later run finds it by the times that the log has (`GroupIncidents.told_at`), so it pins
no offset, however long the group's incident lasts. Where a later run would find otherwise, it does (`Held.pin`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from kafka import TopicPartition

from oda.core.groups.definition import is_group
from oda.core.rules.match import Rules
from oda.notify.group_incidents import GroupIncidents, Pin
from oda.notify.incident import IncidentChange
from oda.notify.mailbox import MOST_DUE, Mailbox

_READ_MS = 2_000
"""In which whatever Kafka has is read: what opens a moment before the wait is over is not missed."""


@dataclass
class Held:
    """An incident that waits, or is suppressed: its newest change.

    Attributes:
        pin: the first change that is not told; None if a later run finds by itself that it is not.
        since: when Kafka got that, epoch ms.
        until: how long it waits, in ms of the gate's clock.
        by: the group whose incident suppresses it.
    """

    now: IncidentChange
    pin: Pin | None
    since: int
    until: float
    by: str | None = None


@dataclass
class _Untold:
    """Of a former run: the first change of an incident that was to be told, the newest, and when Kafka got that."""

    first: IncidentChange
    now: IncidentChange
    since: int


class Gate:
    """One receiver's.

    Args:
        mailbox: where what is to be told goes.
        wait_ms: see `GroupIncidents`.
        clock: ms, only forward.

    Attributes:
        suppressed: how many incidents were, so far.
    """

    def __init__(self, mailbox: Mailbox, wait_ms: int | None, clock: Callable[[], float]) -> None:
        self.suppressed = 0
        self._mailbox = mailbox
        self._clock = clock
        self._groups = GroupIncidents(wait_ms)
        self._held: dict[str, Held] = {}
        self._lasting: dict[str, _Untold] = {}
        self._is_sorted = False  # whether all is held that is to be, and nothing else

    @property
    def is_full(self) -> bool:
        """Whether no more should be taken for now.

        What is suppressed does not count: only by reading on it is found that the group's incident is over.
        """
        now = self._clock()
        waiting = sum(held.until > now for held in self._held.values())
        return self._mailbox.is_full or waiting >= MOST_DUE

    def follow(self, rules: Rules) -> None:
        """By the newest rules that there are it goes on; some have to be known before `begin`."""
        if self._groups.follow(rules):
            self._is_sorted = False

    # -- what a former run has read -------------------------------------------------------------

    def know(self, now: IncidentChange, time: int) -> None:
        """Something of a former run, in any order but for the changes of an incident; `time` as of `take`."""
        self._note(now, time, None)
        before = self._lasting.get(now.place)
        if now.row.change == "resolved":
            self._lasting.pop(now.place, None)
        elif before:
            before.now = now
        elif self._mailbox.is_wanted(now):
            self._lasting[now.place] = _Untold(now, now, time)

    def begin(self) -> None:
        """All of the former run is known: of what lasts, some was told, and it was silent about the rest."""
        lasting, self._lasting = self._lasting, {}
        for place, one in lasting.items():
            if self._groups.told_at(one.now.row.series, one.since) < inf:
                self._mailbox.know(one.first)
                self._mailbox.know(one.now)
            else:
                self._held[place] = Held(one.now, None, one.since, self._clock())

    # -- what comes -----------------------------------------------------------------------------

    def take(self, now: IncidentChange, part: TopicPartition, offset: int, time: int) -> None:
        """A change of an incident: where the log has it, and when Kafka got it, epoch ms."""
        pin = Pin(part, offset)
        self._note(now, time, pin)
        wait = self._groups.wait(now.row.series)
        if held := self._held.get(now.place):
            held.now = now
            self._is_sorted = False
        elif wait is None or self._mailbox.waits(now.place) or self._mailbox.was_told(now.place):
            self._mailbox.take(now, *pin)
        elif self._mailbox.is_wanted(now):
            self._held[now.place] = Held(now, pin, time, self._clock() + wait + _READ_MS)
            self._is_sorted = False

    def _note(self, now: IncidentChange, time: int, pin: Pin | None) -> None:
        """Of a group's incident, if this receiver is told of it."""
        if is_group(now.row.series) and (now.place in self._groups or self._mailbox.is_wanted(now)):
            self._groups.note(now, time, pin)
            self._is_sorted = False

    # -- what goes on to the mailbox ------------------------------------------------------------

    def release(self) -> Mapping[str, list[str]]:
        """Have the mailbox take what is to be told by now; returns what is suppressed from now on, by group."""
        found: dict[str, list[str]] = {}
        if not self._is_sorted:
            self._withdraw()
            for place, held in list(self._held.items()):
                if group := self._sort(place, held):
                    found.setdefault(group, []).append(place)
            self._is_sorted = True
        self._hand_over()
        self.suppressed += sum(map(len, found.values()))
        return found

    def _withdraw(self) -> None:
        """What waits for a receiver that is away is suppressed, too."""
        for now, part, offset in self._mailbox.untold():
            if isinstance(now, IncidentChange) and self._groups.suppressor(now.row):
                self._mailbox.withdraw(now.place)
                # It waited to its end before the group's began: no later run finds by the times that it was not told.
                # So its pin stays: of what came at 0 `told_at` says that it was told.
                self._held[now.place] = Held(now, Pin(part, offset) if part else None, 0, 0)

    def _sort(self, place: str, held: Held) -> str | None:
        """See whether an incident is suppressed now; returns by which group if it was not before."""
        before, held.by = held.by, self._groups.suppressor(held.now.row)
        if held.by is None:
            if before and held.pin is None:
                # It is told soon. A later run that knew the end of the group's incident would take it that it was.
                held.pin = self._groups.end_of(before)
            return None
        if held.now.row.change == "resolved":
            del self._held[place]
        elif held.pin and self._groups.told_at(held.now.row.series, held.since) == inf:
            held.pin = None
        return held.by if before is None else None

    def _hand_over(self) -> None:
        now = self._clock()
        for place, held in list(self._held.items()):
            if held.by is None and held.until <= now:
                del self._held[place]
                self._mailbox.take(held.now, *(held.pin or ()))

    def committable(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Mailbox.committable`."""
        found = self._mailbox.committable(positions)
        for held in self._held.values():
            if held.pin and held.pin.part in found:
                found[held.pin.part] = min(found[held.pin.part], held.pin.offset)
        return found
