"""Between the log of incidents and a receiver's mailbox: what an incident of a group suppresses is not told. Pure.

A change of a member's incident waits, since that of its group opens later: the group's window closes later. While one
of its groups then lasts it is held, and told when that is over, if it lasts itself; one that is resolved meanwhile is
never told. Who was told of an incident before is told what becomes of it. Only incidents that the receiver is told of
suppress others for it.

What is held is kept nowhere: as the log of incidents has times, it says itself of which incidents a former run was
silent (`_told_at`). So they hold no offset back, however long the group's incident lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from kafka import TopicPartition

from oda.core.groups.definition import Membership, is_group
from oda.core.groups.suppression import Suppression
from oda.core.rules.match import Rules
from oda.notify.incident import IncidentChange
from oda.notify.mailbox import MOST_DUE, Mailbox

_MOST_RESOLVED = 10_000
"""Incidents of groups that are over, and known."""

_OPENS_MS = 10_000
"""Unless the file says how long, a change waits so much longer than its group's window takes to close."""

_READ_MS = 2_000
"""In which whatever Kafka has is read: what opens a moment before the wait is over is not missed."""


@dataclass
class _Held:
    """The newest change of an incident that waits, or is suppressed.

    Attributes:
        part, offset: where the log has the first change that is not told; None if a later run finds it by itself.
        since: when Kafka got that, epoch ms.
        until: how long it waits, in ms of the gate's clock.
        by: the group whose incident suppresses it.
    """

    now: IncidentChange
    part: TopicPartition | None
    offset: int
    since: int
    until: float
    by: str | None = None


@dataclass
class _OfGroup:
    """An incident of a group: its newest change, and when Kafka got its first one and that of its end, epoch ms."""

    now: IncidentChange
    opened: int
    resolved: float = inf


class Gate:
    """One receiver's.

    Args:
        mailbox: where what is to be told goes.
        wait_ms: how long a member's incident waits; None for as long as its group's window takes, and a little more.
        clock: ms, only forward.

    Attributes:
        suppressed: how many incidents were, so far.
    """

    def __init__(self, mailbox: Mailbox, wait_ms: int | None, clock: Callable[[], float]) -> None:
        self.suppressed = 0
        self._mailbox = mailbox
        self._rules: Rules | None = None
        self._wait_ms = wait_ms
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._groups: dict[str, _OfGroup] = {}
        self._ended: dict[str, tuple[TopicPartition | None, int]] = {}
        """By series of a group that has no incident any more: where the log says so."""
        self._known: dict[str, tuple[IncidentChange, IncidentChange, int]] = {}
        """Of a former run: the first change of an incident that was to be told, the newest, and when Kafka got that."""
        self._suppression: Suppression | None = None
        self._spans: dict[str, list[tuple[int, float]]] = {}
        """By series of a group, when Kafka got the beginning and the end of each incident."""

    @property
    def is_full(self) -> bool:
        """Whether no more should be taken for now."""
        now = self._clock()
        waiting = sum(held.until > now for held in self._held.values())
        return self._mailbox.is_full or waiting >= MOST_DUE

    def follow(self, rules: Rules) -> None:
        """By the newest rules that there are it goes on; some have to be known before `begin`."""
        if rules is not self._rules:
            self._rules, self._suppression = rules, None

    def know(self, now: IncidentChange, time: int) -> None:
        """Something of a former run, in any order but for the changes of an incident; `time` as of `take`."""
        self._note(now, time)
        if now.row.change == "resolved":
            self._known.pop(now.place, None)
        elif now.place in self._known or self._mailbox.is_wanted(now):
            first, _, since = self._known.get(now.place, (now, now, time))
            self._known[now.place] = first, now, since

    def begin(self) -> None:
        """All of the former run is known."""
        known, self._known = self._known, {}
        self._derive()
        for place, (first, now, since) in known.items():
            if self._told_at(now.row.series, since) < inf:
                self._mailbox.know(first)
                self._mailbox.know(now)
            else:
                self._held[place] = _Held(now, None, 0, since, self._clock())

    def take(self, now: IncidentChange, part: TopicPartition, offset: int, time: int) -> None:
        """A change of an incident: where the log has it, and when Kafka got it, epoch ms."""
        self._note(now, time, part, offset)
        held = self._held.get(now.place)
        wait = self._wait(now.row.series)
        if held:
            held.now, self._suppression = now, None
        elif wait is None or self._mailbox.waits(now.place) or self._mailbox.was_told(now.place):
            self._mailbox.take(now, part, offset)
        elif self._mailbox.is_wanted(now):
            self._held[now.place] = _Held(now, part, offset, time, self._clock() + wait + _READ_MS)
            self._suppression = None

    def release(self) -> Mapping[str, list[str]]:
        """Have the mailbox take what is to be told by now; returns what is suppressed from now on, by group."""
        found: dict[str, list[str]] = {}
        if self._suppression is None:
            suppression = self._derive()
            self._withdraw(suppression)
            for place, held in list(self._held.items()):
                if self._suppress(suppression, place, held):
                    found.setdefault(held.by or "", []).append(place)
        now = self._clock()
        for place, held in list(self._held.items()):
            if held.by is None and held.until <= now:
                del self._held[place]
                self._mailbox.take(held.now, held.part, held.offset)
        self.suppressed += sum(map(len, found.values()))
        return found

    def committable(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Mailbox.committable`."""
        found = self._mailbox.committable(positions)
        for held in self._held.values():
            if held.part in found:
                found[held.part] = min(found[held.part], held.offset)
        return found

    def _note(self, now: IncidentChange, time: int, part: TopicPartition | None = None, offset: int = 0) -> None:
        """Of a group's incident, if this receiver is told of it."""
        series = now.row.series
        if not is_group(series) or not (now.place in self._groups or self._mailbox.is_wanted(now)):
            return
        former = self._groups.pop(now.place, None)
        one = self._groups[now.place] = _OfGroup(now, former.opened if former else time)
        if now.row.change == "resolved":
            one.resolved = time
            self._ended[series] = part, offset
        else:
            self._ended.pop(series, None)
        self._suppression = None
        if len(self._groups) > _MOST_RESOLVED:
            oldest = next((place for place, one in self._groups.items() if one.resolved < inf), None)
            if oldest is not None:
                del self._groups[oldest]

    def _derive(self) -> Suppression:
        assert self._rules is not None
        self._spans = {}
        for one in self._groups.values():
            self._spans.setdefault(one.now.row.series, []).append((one.opened, one.resolved))
        self._suppression = Suppression(self._rules, [one.now.row for one in self._groups.values()])
        return self._suppression

    def _withdraw(self, suppression: Suppression) -> None:
        """What waits for a receiver that is away is suppressed, too."""
        for now, part, offset in self._mailbox.untold():
            if isinstance(now, IncidentChange) and suppression.by(now.row):
                self._mailbox.withdraw(now.place)
                # It is too late for a later run to find it.
                self._held[now.place] = _Held(now, part, offset, 0, 0)

    def _suppress(self, suppression: Suppression, place: str, held: _Held) -> bool:
        """Whether an incident is suppressed from now on; of one that is over that is the end."""
        before, held.by = held.by, suppression.by(held.now.row)
        if held.by is None:
            if before and held.part is None:
                held.part, held.offset = self._ended.get(before, (None, 0))
            return False
        if held.now.row.change == "resolved":
            del self._held[place]
        elif held.part is not None and self._told_at(held.now.row.series, held.since) == inf:
            held.part = None
        return before is None

    def _wait(self, series: str) -> int | None:
        """For how long a change of a series waits, ms; None if nothing can suppress it."""
        windows = [one.size + one.lateness for _, one in self._suppressors(series)]
        if not windows:
            return None
        return max(windows) + _OPENS_MS if self._wait_ms is None else self._wait_ms

    def _told_at(self, series: str, since: int) -> float:
        """When an incident was told of which Kafka got a change at a time, epoch ms; infinite if it was not yet."""
        at: float = since + (self._wait(series) or 0)
        for begin, end in sorted(span for group, _ in self._suppressors(series) for span in self._spans.get(group, ())):
            if begin > at:
                break
            at = max(at, end)
        return at

    def _suppressors(self, series: str) -> Sequence[Membership]:
        return self._rules.suppressors(series) if self._rules else ()
